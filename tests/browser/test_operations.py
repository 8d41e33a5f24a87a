"""Operations on one saga: what they will call is read first, and afterwards who did it and why."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.acceptance.service import Service
from tests.browser.conftest import Visit
from tests.browser.console import ask, confirm, content, label, offered, plan, preview, told
from tests.browser.visitor import ADMIN

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.timeout(60, func_only=True)]

LIVE = 10_000
"""Milliseconds in which a page that follows its saga shows what became of it."""


def test_retry(visit: Visit, sagas: dict[str, str]) -> None:
    visitor, saga = visit("operator"), sagas["to_retry"]
    page = visitor.saga(saga)
    ask(page, "Retry")
    refund, release = plan(page).all()
    expect(refund).to_contain_text("refund_payment")
    expect(refund).to_contain_text("sent before: repeated byte for byte")
    expect(refund).to_contain_text(f"Idempotency-Key: {saga}:1:process_payment:compensation")
    expect(refund).to_contain_text(f"Compensates: {saga}:1:process_payment:action")
    expect(refund.get_by_label("Body")).to_contain_text('"payment_id": "')
    expect(release).to_contain_text(re.compile("POST http://.*/reservations/release"))
    expect(content(page).get_by_text("The saga is then:")).to_contain_text("compensated")
    assert visitor.complaints() == []
    confirm(page, "Retry", "the bank is up again")
    expect(page.get_by_text("Retry: accepted.")).to_be_visible()
    expect(label(page, "compensated")).to_be_visible(timeout=LIVE)
    told(page, "operator", "the bank is up again")


def test_compensate(visit: Visit, service: Service, sagas: dict[str, str]) -> None:
    page = visit("operator").saga(sagas["to_compensate"])
    ask(page, "Compensate")
    expect(plan(page)).to_contain_text(["refund_payment", "release_inventory"])
    confirm(page, "Compensate", "the customer left")
    told(page, "operator", "the customer left")
    service.ends(sagas["to_compensate"], "compensated")


def test_a_reason_is_needed(visit: Visit, service: Service, sagas: dict[str, str]) -> None:
    page = visit("operator").saga(sagas["in_doubt"], "compensate")
    confirm(page, "Compensate", "")
    expect(page.get_by_label("Reason")).to_be_focused()
    expect(page).to_have_url(re.compile("/compensate/$"))
    confirm(page, "Compensate", "   ")
    expect(page.get_by_text("This field is required.")).to_be_visible()
    assert "compensate_requested" not in service.kinds(sagas["in_doubt"])


def test_what_was_confirmed_has_moved_on(
    visit: Visit, service: Service, sagas: dict[str, str]
) -> None:
    """It goes on after the preview, by a client: the confirmation is refused, twice if need be."""
    visitor, saga = visit("operator"), sagas["moves_on"]
    visitor.refused = {409}
    page = visitor.saga(saga)
    ask(page, "Retry")
    service.post(f"{saga}/retry")
    service.ends(saga, "compensated")
    confirm(page, "Retry", "from an old preview")
    alert = page.get_by_role("alert").filter(has_text="the saga moved on since your preview")
    expect(alert).to_be_in_viewport()
    expect(plan(page).first).to_contain_text(f"{saga}:2:validate_inventory:action")
    expect(page.get_by_label("Reason")).to_have_value("from an old preview")
    assert visitor.complaints() == []
    service.post(f"{saga}/retry")
    service.ends(saga, "completed")
    page.get_by_role("button", name="Retry", exact=True).click()
    expect(page.get_by_text("Retry is not possible now:")).to_be_visible()
    expect(page).to_have_url(re.compile(f"/{saga}/change/"))
    assert service.kinds(saga).count("retry_requested") == 2


def test_a_doubt_is_resolved_with_evidence(
    visit: Visit, service: Service, sagas: dict[str, str]
) -> None:
    visitor, saga = visit("operator"), sagas["to_resolve"]
    page = visitor.saga(saga)
    expect(label(page, "in doubt")).to_be_visible()
    ask(page, "Resolve the doubt")
    page.get_by_label("It took effect at the participant").check()
    page.get_by_label("Evidence").fill("the bank's statement has pay-77")
    page.get_by_label("Output").fill('{"payment": 1}')
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("It does not fit: payment_id")).to_be_visible()
    page.get_by_label("Output").fill('{"payment_id": "pay-77"}')
    preview(page)
    expect(plan(page).first.get_by_label("Body")).to_contain_text('"payment_id": "pay-77"')
    assert visitor.complaints() == []
    confirm(page, "Resolve the doubt", "asked the bank")
    told(page, "operator", "asked the bank")
    told(page, "operator", "the bank's statement has pay-77")
    assert "resolved" in " ".join(service.kinds(saga))


def test_a_step_is_skipped_and_the_saga_retried(
    visit: Visit, service: Service, sagas: dict[str, str]
) -> None:
    visitor = visit("operator")
    page = visitor.saga(sagas["to_skip"])
    ask(page, "Skip the step")
    expect(page.get_by_label("Then retry the saga at once")).to_be_checked()
    preview(page)
    expect(plan(page)).to_have_count(1)
    expect(plan(page)).to_contain_text(["release_inventory"])
    assert visitor.complaints() == []
    confirm(page, "Skip the step", "refunded by hand")
    told(page, "operator", "refunded by hand")
    service.ends(sagas["to_skip"], "compensated")


def test_data_is_edited_for_a_new_run(
    visit: Visit, service: Service, sagas: dict[str, str]
) -> None:
    visitor, saga = visit("administrator"), sagas["to_edit"]
    page = visitor.saga(saga)
    ask(page, "Edit the data")
    data = page.get_by_label("Data")
    text = data.input_value()
    data.fill(text.replace('"expired_card"', ""))
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("Not usable JSON")).to_be_visible()
    data.fill(text.replace("expired_card", "gift_card"))
    preview(page)
    payment = plan(page).nth(2)
    expect(payment).to_contain_text("process_payment")
    expect(payment).to_contain_text(f"{saga}:2:process_payment:action")
    expect(payment.get_by_label("Body")).to_contain_text("gift_card")
    assert visitor.complaints() == []
    confirm(page, "Edit the data", "a new card")
    told(page, "administrator", "a new card")
    service.ends(saga, "completed")
    assert service.get(f"/{saga}")["data"]["payment_method"] == "gift_card"


def test_a_viewer_operates_nothing(visit: Visit, sagas: dict[str, str]) -> None:
    visitor = visit("viewer")
    for name in ("pending", "failed", "in_doubt"):
        assert offered(visitor.saga(sagas[name])) == []
    visitor.refused = {403}
    addresses = {
        "pending": ["execute"],
        "failed": ["retry", "compensate", "skip", "edit_data"],
        "in_doubt": ["resolve"],
    }
    for name, operations in addresses.items():
        for operation in operations:
            answer = visitor.page.goto(f"{visitor.url}{ADMIN}sagas/saga/{sagas[name]}/{operation}/")
            assert answer
            assert answer.status == 403, operation
    answer = visitor.page.goto(f"{visitor.url}{ADMIN}breakers/payment/reset/")
    assert answer
    assert answer.status == 403
