"""How people find their way in the console, and follow a saga."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.service import Service
from tests.browser.conftest import Visit
from tests.browser.console import LIST, label, offered, rows
from tests.browser.visitor import ADMIN

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.timeout(60, func_only=True)]


@pytest.mark.parametrize(
    ("name", "operations"),
    [
        ("viewer", []),
        ("operator", ["Retry", "Compensate", "Skip the step"]),
        ("administrator", ["Retry", "Compensate", "Skip the step", "Edit the data"]),
        ("root", ["Retry", "Compensate", "Skip the step", "Edit the data"]),
    ],
)
def test_people_see_what_they_may_do(
    visit: Visit, sagas: dict[str, str], name: str, operations: list[str]
) -> None:
    page = visit(name).saga(sagas["failed"])
    expect(page.get_by_text(name, exact=True).first).to_be_visible()
    expect(label(page, "failed")).to_be_visible()
    assert offered(page) == operations


def test_they_log_in_with_their_password(visit: Visit) -> None:
    visitor = visit()
    page = visitor.go(f"{ADMIN}login/")
    page.get_by_label("Username").fill("operator")
    page.get_by_label("Password").fill("guessed")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Please enter the correct username and password")).to_be_visible()
    visitor.log_in("operator")
    expect(page.get_by_text("operator", exact=True).first).to_be_visible()


def test_the_list_is_filtered_and_searched(
    visit: Visit, service: Service, sagas: dict[str, str]
) -> None:
    page = visit("viewer").go(f"{LIST}?status__exact=failed")
    expect(rows(page)).to_have_count(service.count("failed"))
    assert all("failed" in text for text in rows(page).all_inner_texts())
    search = page.get_by_role("searchbox").or_(page.locator("input[name=q]")).first
    page.goto(page.url.partition("?")[0])
    search.fill(sagas["parked"])
    search.press("Enter")
    expect(rows(page)).to_have_count(1)
    rows(page).get_by_role("link").first.click()
    expect(page).to_have_url(re.compile(f"/{sagas['parked']}/change/"))
    expect(label(page, "parked")).to_be_visible()


def test_the_keyboard_is_enough(visit: Visit, service: Service, sagas: dict[str, str]) -> None:
    page = visit("operator").saga(sagas["by_keyboard"])
    tab_to(page, "Skip the step")
    page.keyboard.press("Enter")
    page.wait_for_url("**/skip/")
    tab_to(page, "Then retry")
    page.keyboard.press("Space")
    tab_to(page, "Preview")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="What will be called")).to_be_visible()
    tab_to(page, "Reason")
    page.keyboard.type("refunded by hand")
    tab_to(page, "Skip the step")
    page.keyboard.press("Enter")
    page.wait_for_url("**/change/*")
    expect(label(page, "failed")).to_be_visible()
    assert service.kinds(sagas["by_keyboard"])[-1] == "step_skipped"


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the link, button or field of that name has the focus, and shows it."""
    for _ in range(80):
        page.keyboard.press("Tab")
        focused = page.locator("#content :focus")
        named, shown = (
            focused.evaluate("""e => [
                [e.innerText, ...[...(e.labels || [])].map(l => l.innerText)].join(" "),
                e.matches(":focus-visible") && getComputedStyle(e).outlineStyle !== "none",
            ]""")
            if focused.count()
            else ("", False)
        )
        if name in named:
            assert shown, f"the focus on {name} is not to be seen"
            return
    raise AssertionError(f"no way to {name} by the keyboard")


def test_a_saga_is_followed_while_it_fails(visit: Visit, service: Service) -> None:
    service.fault(
        "payment", step="process_payment", fault="error", times=1, match={"customer_id": 77}
    )
    service.fault("sales", step="create_sale", fault="decline", match={"customer_id": 77})
    saga_id = service.create(customer_id=77, execute=False)
    page = visit("viewer").saga(saga_id)
    expect(label(page, "pending")).to_be_visible()
    page.evaluate("window.__same = true")
    button = page.get_by_role("button", name="Pause updates")
    button.click()
    service.post(f"{saga_id}/execute")
    service.ends(saga_id, "compensated")
    expect(label(page, "pending")).to_be_visible()
    page.get_by_role("button", name="Resume updates").click()
    expect(label(page, "compensated")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("updates"))).to_have_count(0)
    assert page.evaluate("window.__same"), "the page was loaded again"


def test_the_language_is_chosen_in_the_menu(visit: Visit, sagas: dict[str, str]) -> None:
    visitor = visit()
    visitor.log_in("viewer")
    page = visitor.saga(sagas["failed"])
    page.get_by_text("viewer", exact=True).first.click()
    page.get_by_role("button", name="Français").click()
    expect(page).to_have_url(re.compile(f"/{sagas['failed']}/change/"))
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    expect(label(page, "en échec")).to_be_visible()
