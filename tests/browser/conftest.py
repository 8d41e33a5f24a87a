"""A browser, and the running service with people and sagas in it; both for all tests here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.acceptance.service import Service
from tests.browser import chromium
from tests.browser.visitor import Visitor
from tests.conftest import NO_BROWSER
from tests.free_port import free_port

MAKE = "from tests.browser import people; people.make({!r})"

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
    running = Service(folder, free_port(), SAGA_RETRY_DELAY_MS="700", SAGA_CALL_TIMEOUT_MS="2000")
    running.log = folder / "log"
    with running:
        made = running.run("shell", "-v0", "-c", MAKE.format(str(folder / "sagas")))
        running.start_api()
        assert made.wait(60) == 0, running.log.read_text()
        running.start_worker()
        yield running


@pytest.fixture(scope="package")
def sagas(service: Service) -> dict[str, str]:
    """The ids of the sagas that `people` made, by state."""
    made: dict[str, str] = json.loads((service.folder / "sagas").read_text())
    return made


@pytest.fixture(scope="package")
def sessions() -> dict[str, object]:
    """Who has logged in already: logging in takes its time."""
    return {}


@pytest.fixture
def visit(browser: Browser, service: Service, sessions: dict[str, object]) -> Iterator[Visit]:
    """Open windows, each for a person; nothing may have gone wrong in them at the end."""
    with ExitStack() as windows:
        visitors: list[Visitor] = []

        def visit(name: str = "", **options: object) -> Visitor:
            known = {"storage_state": sessions[name]} if name in sessions else {}
            options = {"viewport": {"width": 1280, "height": 900}, **known, **options}
            context = windows.enter_context(browser.new_context(**options))  # type: ignore[arg-type]
            visitors.append(Visitor(context, service.url))
            if name and not known:
                visitors[-1].log_in(name)
                sessions[name] = context.storage_state()
            return visitors[-1]

        yield visit
        wrong = [what for visitor in visitors for what in visitor.wrong]
    assert wrong == []
