"""What operators do in the console, by what they see: labels, buttons and texts."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.acceptance.service import Service
from tests.browser.conftest import Visit
from tests.browser.visitor import ADMIN

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.timeout(60)]

OPERATIONS = ["Execute", "Compensate", "Retry"]
LIST = f"{ADMIN}sagas/saga/"


def offered(page: Page) -> list[str]:
    """The operations to which the page links."""
    main = page.locator("#content")
    return [name for name in OPERATIONS if main.get_by_role("link", name=name).count()]


def label(page: Page, text: str) -> Locator:
    """The first label, or line of the timeline, that has an icon and that text."""
    return page.locator("#content").get_by_text(re.compile(f"{text}$")).first


def rows(page: Page) -> Locator:
    return page.locator("#result_list tbody tr")


@pytest.mark.parametrize(
    ("name", "operations"),
    [("viewer", []), ("operator", ["Compensate", "Retry"]), ("root", ["Compensate", "Retry"])],
)
def test_people_log_in_and_see_what_they_may_do(
    visit: Visit, sagas: dict[str, str], name: str, operations: list[str]
) -> None:
    visitor = visit()
    visitor.log_in(name)
    expect(visitor.page.get_by_text(name, exact=True).first).to_be_visible()
    page = visitor.saga(sagas["failed"])
    expect(label(page, "failed")).to_be_visible()
    assert offered(page) == operations


def test_a_wrong_password_is_told(visit: Visit) -> None:
    page = visit().go(f"{ADMIN}login/")
    page.get_by_label("Username").fill("operator")
    page.get_by_label("Password").fill("guessed")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Please enter the correct username and password")).to_be_visible()


def test_the_list_is_filtered_and_searched(visit: Visit, sagas: dict[str, str]) -> None:
    page = visit("viewer").go(f"{LIST}?status__exact=failed")
    expect(rows(page)).to_have_count(3)
    for row in rows(page).all():
        expect(row).to_contain_text("failed")
    page = visit("viewer").go(LIST)
    search = page.get_by_role("searchbox").or_(page.locator("input[name=q]")).first
    search.fill(sagas["parked"])
    search.press("Enter")
    expect(rows(page)).to_have_count(1)
    rows(page).get_by_role("link").first.click()
    expect(page).to_have_url(re.compile(f"/{sagas['parked']}/change/"))
    expect(label(page, "parked")).to_be_visible()


def confirm(page: Page, operation: str, reason: str) -> None:
    """Ask for the operation on the page of a saga, and confirm it with a reason."""
    page.locator("#content").get_by_role("link", name=operation).click()
    page.get_by_label("Reason").fill(reason)
    page.get_by_role("button", name=operation).click()
    page.wait_for_url("**/change/")


def test_an_operation_is_confirmed_with_a_reason(
    visit: Visit, service: Service, sagas: dict[str, str]
) -> None:
    page = visit("operator").saga(sagas["to_retry"])
    confirm(page, "Retry", "the bank says it is up again")
    expect(page.get_by_text("the bank says it is up again").first).to_be_visible()
    expect(page.get_by_text("user:operator").first).to_be_visible()
    assert "retry_requested" in service.kinds(sagas["to_retry"])


def test_a_reason_is_needed(visit: Visit, service: Service, sagas: dict[str, str]) -> None:
    page = visit("operator").saga(sagas["completed"], "compensate")
    page.get_by_role("button", name="Compensate").click()
    page.wait_for_load_state()
    expect(page).to_have_url(re.compile("/compensate/"))
    assert service.status(sagas["completed"]) == "completed"


def test_the_keyboard_is_enough(visit: Visit, service: Service, sagas: dict[str, str]) -> None:
    page = visit("operator").saga(sagas["to_compensate"])
    tab_to(page, "Compensate")
    page.keyboard.press("Enter")
    page.wait_for_url("**/compensate/")
    expect(page.get_by_label("Reason")).to_be_focused()
    page.keyboard.type("sold twice")
    tab_to(page, "Compensate")
    page.keyboard.press("Enter")
    page.wait_for_url("**/change/")
    assert "compensate_requested" in service.kinds(sagas["to_compensate"])


def tab_to(page: Page, name: str) -> None:
    """Press Tab until that link or button has the focus, which has to be seen there."""
    for _ in range(80):
        page.keyboard.press("Tab")
        focused = page.locator("#content :focus")
        if focused.count() and name in focused.inner_text():
            shown = focused.evaluate(
                "e => getComputedStyle(e).outlineStyle + e.matches(':focus-visible')"
            )
            assert shown.endswith("true"), shown
            return
    raise AssertionError(f"no way to {name} by the keyboard")


@pytest.mark.xfail(reason="pages do not follow their saga yet", strict=True)
def test_a_saga_is_followed_while_it_fails(visit: Visit, service: Service) -> None:
    service.fault(
        "payment", step="process_payment", fault="error", times=1, match={"customer_id": 77}
    )
    service.fault("sales", step="create_sale", fault="decline", match={"customer_id": 77})
    saga_id = service.create(customer_id=77, execute=False)
    page = visit("viewer").saga(saga_id)
    expect(label(page, "pending")).to_be_visible()
    page.evaluate("window.__same = true")
    service.post(f"{saga_id}/execute")
    expect(label(page, "compensated")).to_be_visible(timeout=8_000)
    assert page.evaluate("window.__same"), "the page was loaded again"


def test_the_language_is_chosen_in_the_menu(visit: Visit, sagas: dict[str, str]) -> None:
    page = visit("viewer").saga(sagas["failed"])
    page.get_by_text("viewer", exact=True).first.click()
    page.get_by_role("button", name="Français").click()
    expect(page).to_have_url(re.compile(f"/{sagas['failed']}/change/"))
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    expect(label(page, "en échec")).to_be_visible()
