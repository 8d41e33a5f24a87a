"""What concerns more than one saga, or takes more than one person."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.acceptance.service import Service
from tests.browser.conftest import Visit
from tests.browser.console import LIST, ask, choose, confirm, content, label, plan, section, told
from tests.browser.visitor import ADMIN

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.timeout(60, func_only=True)]

LIVE = 15_000
"""Milliseconds in which a page that follows what it shows is up to date."""


def test_many_are_retried_and_not_all_goes_well(
    visit: Visit, service: Service, sagas: dict[str, str]
) -> None:
    visitor = visit("operator")
    page = visitor.go(LIST)
    failed, sold = [sagas["in_bulk"], sagas["in_bulk_too"]], sagas["sold"]
    choose(page, [*failed, sold], "Retry: preview")
    page.evaluate("window.__same = true")
    expect(label(page, "it waits to be confirmed")).to_be_visible(timeout=LIVE)
    kinds = section(page, "What is called, by kind of saga").get_by_role("row")
    alike = kinds.filter(has_text="refund_payment → release_inventory → compensated")
    expect(alike.get_by_role("rowheader")).to_have_text("2")
    expect(kinds.filter(has_text="a saga that is completed cannot retry")).to_have_count(1)
    assert "retry_requested" not in service.kinds(failed[0])
    assert visitor.complaints() == []
    confirm(page, "Retry", "all banks are up")
    expect(label(page, "Not all went well: 1 refused")).to_be_visible(timeout=LIVE)
    expect(page.get_by_role("button", name="Pause updates")).to_have_count(0)
    one = page.get_by_role("row").filter(has_text=sold)
    expect(one).to_contain_text("refused, nothing done")
    for saga in failed:
        one = page.get_by_role("row").filter(has_text=saga)
        expect(one).to_contain_text("accepted")
        expect(one).to_contain_text("compensated")
    assert visitor.complaints() == []
    page.get_by_role("link", name=failed[0]).click()
    told(page, "operator", "all banks are up")


def test_it_is_done_when_all_went_well(visit: Visit, sagas: dict[str, str]) -> None:
    page = visit("operator").go(LIST)
    choose(page, [sagas["bulk_alone"]], "Retry: preview")
    confirm(page, "Retry", "just this one")
    expect(label(page, "Done: all 1")).to_be_visible(timeout=LIVE)


def test_two_persons_take_back_what_was_sold(
    visit: Visit, service: Service, sagas: dict[str, str]
) -> None:
    operator, colleague, saga = visit("operator"), visit("colleague"), sagas["to_propose"]
    page = operator.saga(saga)
    ask(page, "Compensate")
    expect(page.get_by_text("This takes two persons")).to_be_visible()
    confirm(page, "Propose: Compensate", "recalled")
    expect(page.get_by_text("Another person has to approve what you proposed.")).to_be_visible()
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    expect(page.get_by_role("button", name="Withdraw")).to_be_visible()
    assert service.status(saga) == "completed"

    page = colleague.saga(saga)
    content(page).get_by_role("link", name="Another person has to approve it.").click()
    expect(content(page).get_by_text("user:operator proposes it: recalled")).to_be_visible()
    expect(plan(page)).to_contain_text(["cancel_sale", "refund_payment", "release_inventory"])
    assert colleague.complaints() == []
    page.get_by_label("Comment").fill("seen the recall")
    page.get_by_role("button", name="Approve: Compensate").click()
    told(page, "colleague", "recalled (proposed by user:operator); seen the recall")
    service.ends(saga, "compensated")
    page = colleague.go(f"{LIST}approvals/")
    decided = page.get_by_role("row").filter(has_text=saga)
    expect(decided).to_contain_text("approved")
    expect(decided).to_contain_text("user:colleague")


def test_a_breaker_is_reset_from_the_overview(visit: Visit, service: Service) -> None:
    service.fault("sales", step="create_sale", fault="error", times=5, match={"customer_id": 88})
    for _ in range(5):
        service.create(customer_id=88)
    page = visit("operator").go(ADMIN)
    breaker = section(page, "Circuit breakers").get_by_role("listitem").filter(has_text="sales")
    expect(breaker).to_contain_text("nothing is sent until", timeout=LIVE)
    breaker.get_by_role("link", name="Reset sales").click()
    expect(label(page, "open")).to_be_visible()
    confirm(page, "Reset", "sales was started again")
    expect(page.get_by_text("The breaker of sales is closed; it was open.")).to_be_visible()
    expect(breaker).to_contain_text("closed")
    expect(page.get_by_role("link", name="Reset sales")).to_have_count(0)
