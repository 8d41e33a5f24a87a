"""A browser, and the running service with people and sagas in it; both for all tests here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, ViewportSize, sync_playwright

from tests.acceptance.service import Service
from tests.browser import chromium
from tests.browser.visitor import Visitor
from tests.conftest import NO_BROWSER
from tests.free_port import free_port

MAKE = "from tests.browser import people; people.make({!r})"
FOUND = "found.json"
ENV = {"SAGA_RETRY_DELAY_MS": "700", "SAGA_CALL_TIMEOUT_MS": "2000", "SAGA_TWO_PERSON": "on"}

# Purchases at the shop, by what becomes of them. Each is for one test, which operates on it.
FAILED = ("to_retry", "to_skip", "by_keyboard", "moves_on", "in_bulk", "in_bulk_too", "bulk_alone")
COMPENSATED = ("to_edit",)
COMPLETED = ("to_propose", "sold")

Visit = Callable[..., Visitor]

# Not of the session: while Playwright runs, Django takes the thread for an asynchronous one.


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        try:
            path = chromium.executable(playwright)
        except chromium.NoChromium as why:
            pytest.skip(f"{NO_BROWSER} {why}")
        with playwright.chromium.launch(executable_path=path, args=["--no-sandbox"]) as browser:
            yield browser


@pytest.fixture(scope="package")
def service(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """After the browser: without one, nothing need start."""
    folder = tmp_path_factory.mktemp("browser")
    running = Service(folder, free_port(), **ENV)
    running.log = folder / "log"
    with running:
        made = running.run("shell", "-v0", "-c", MAKE.format(str(folder / FOUND)))
        running.start_api()
        assert made.wait(60) == 0, running.log.read_text()
        running.start_worker()
        yield running


@pytest.fixture(scope="package")
def found(service: Service) -> dict[str, dict[str, str]]:
    """What `people` made."""
    made: dict[str, dict[str, str]] = json.loads((service.folder / FOUND).read_text())
    return made


@pytest.fixture(scope="package")
def sagas(service: Service, found: dict[str, dict[str, str]]) -> dict[str, str]:
    """The ids of the sagas that `people` made, and of purchases at the shop, by name."""
    service.fault("sales", step="create_sale", fault="decline", match={"customer_id": 500})
    service.fault("payment", step="refund_payment", fault="decline")
    service.fault(
        "payment",
        step="process_payment",
        fault="decline",
        match={"payment_method": "expired_card"},
    )
    bought: dict[str, tuple[str, dict[str, Any]]] = {
        **dict.fromkeys(FAILED, ("failed", {"customer_id": 500})),
        **dict.fromkeys(COMPENSATED, ("compensated", {"payment_method": "expired_card"})),
        **dict.fromkeys(COMPLETED, ("completed", {})),
    }
    ids = {name: service.create(**data) for name, (_, data) in bought.items()}
    for name, (status, _) in bought.items():
        service.ends(ids[name], status)
    for participant in ("sales", "payment"):
        url = f"{service.shop.urls[participant]}/faults"
        requests.delete(url, timeout=5).raise_for_status()
    return found["sagas"] | ids


@pytest.fixture(scope="package")
def people(browser: Browser) -> Iterator[dict[str, Visitor]]:
    """Whose windows there are already: an empty cache takes its time to be filled."""
    known: dict[str, Visitor] = {}
    yield known
    for visitor in known.values():
        visitor.context.close()


@pytest.fixture
def visit(
    browser: Browser,
    service: Service,
    found: dict[str, dict[str, str]],
    people: dict[str, Visitor],
) -> Iterator[Visit]:
    """Open windows, each for a person; nothing may have gone wrong in them at the end.

    A person's window is the same in all tests, and has logged in; a stranger's is new.
    """
    with ExitStack() as windows:
        visitors: list[Visitor] = []

        def opened() -> Visitor:
            size: ViewportSize = {"width": 1280, "height": 900}
            return Visitor(browser.new_context(viewport=size), service.url)

        def visit(name: str = "") -> Visitor:
            if not name:
                visitor = opened()
                windows.callback(visitor.context.close)
            elif name in people:
                visitor = people[name]
                visitor.begin()
            else:
                visitor = people[name] = opened()
                visitor.resume(found["sessions"][name])
            visitors.append(visitor)
            return visitor

        yield visit
        wrong = [what for visitor in visitors for what in visitor.wrong]
    assert wrong == []
