"""What a person finds on the console's pages, by roles, names and texts."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.visitor import ADMIN

LIST = f"{ADMIN}sagas/saga/"
OPERATIONS = [
    "Execute",
    "Retry",
    "Compensate",
    "Resolve the doubt",
    "Skip the step",
    "Edit the data",
]


def content(page: Page) -> Locator:
    return page.locator("#content")


def offered(page: Page) -> list[str]:
    """The operations to which the page links."""
    links = [content(page).get_by_role("link", name=name, exact=True) for name in OPERATIONS]
    return [name for name, link in zip(OPERATIONS, links, strict=True) if link.count()]


def label(page: Page, text: str) -> Locator:
    """The first label that has an icon and that text."""
    return content(page).get_by_text(re.compile(f"{text}$")).first


def section(page: Page, heading: str) -> Locator:
    """The part of the page under that heading."""
    named = page.get_by_role("heading", name=heading)
    return page.locator("section, form").filter(has=named).last


def plan(page: Page) -> Locator:
    """The calls that the page foresees, in order."""
    return section(page, "What will be called").get_by_role("listitem")


def rows(page: Page) -> Locator:
    """The sagas in the list."""
    return page.locator("#result_list tbody tr")


def ask(page: Page, operation: str) -> None:
    """Go from a saga's page to that of an operation."""
    content(page).get_by_role("link", name=operation, exact=True).click()
    expect(page.get_by_role("heading", level=2).first).to_have_text(re.compile(operation))


def preview(page: Page) -> None:
    """Have it shown what would be called."""
    page.get_by_role("button", name="Preview").click()
    expect(section(page, "What will be called")).to_be_in_viewport()


def confirm(page: Page, button: str, reason: str) -> None:
    """Do it, with a reason."""
    page.get_by_label("Reason").fill(reason)
    page.get_by_role("button", name=button, exact=True).click()


def told(page: Page, who: str, why: str) -> None:
    """Wait until the history says who wanted it and why."""
    entry = section(page, "History").get_by_role("row").filter(has_text=why).first
    expect(entry).to_contain_text(f"user:{who}")


def choose(page: Page, sagas: list[str], action: str) -> None:
    """Choose sagas in the list, and what is to be done with them."""
    for saga in sagas:
        row = rows(page).filter(has_text=saga[-12:])
        row.get_by_role("checkbox").check()
    page.get_by_role("combobox").filter(has_text=action).select_option(action)
    page.get_by_role("button", name="Run").click()
    page.wait_for_url(f"**{LIST}bulk/*/")
