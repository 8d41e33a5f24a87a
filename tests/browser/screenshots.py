"""`./run screenshots`: the console's main pages, with sagas in every state, as images."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.acceptance.service import ROOT, Service, eventually
from tests.browser import chromium, console
from tests.browser.console import LIST
from tests.browser.visitor import ADMIN, Visitor
from tests.free_port import free_port

IMAGES = ROOT / "docs/images"
SIZE: Any = {"width": 1280, "height": 800}
COLOURS = 64

# What the participants do to the purchases of which customers.
FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("payment", {"step": "process_payment", "fault": "decline", "match": {"customer_id": 201}}),
    ("sales", {"step": "create_sale", "fault": "decline", "match": {"customer_id": 202}}),
    ("sales", {"step": "create_sale", "fault": "decline", "match": {"customer_id": 205}}),
    ("sales", {"step": "create_sale", "fault": "decline", "match": {"customer_id": 206}}),
    ("payment", {"step": "refund_payment", "fault": "decline", "times": 3}),  # those of the sales
    ("payment", {"step": "process_payment", "fault": "late", "match": {"customer_id": 203}}),
    ("sales", {"step": "create_sale", "fault": "error", "match": {"customer_id": 204}}),
]
ENDS = {201: "compensated", 202: "failed", 205: "failed", 206: "failed"}
RETRYING = {203: "process_payment", 204: "create_sale"}


@contextmanager
def running() -> Iterator[Service]:
    """The whole system, whose retries wait for a minute, so that they are still to be seen."""
    with tempfile.TemporaryDirectory() as folder:
        service = Service(
            Path(folder),
            free_port(),
            SAGA_RETRY_DELAY_MS="60000",
            SAGA_CALL_TIMEOUT_MS="1500",
            SAGA_TWO_PERSON="on",
        )
        service.log = Path(folder) / "log"
        with service:
            people = service.run(
                "shell", "-v0", "-c", "from tests.browser import people; people.make_people()"
            )
            service.start_api()
            people.wait(60)
            service.start_worker()
            yield service


def buy(service: Service) -> dict[int, str]:
    """Purchases in every state; the last saga of each customer."""
    for participant, switch in FAULTS:
        service.fault(participant, **{"seconds": 4, **switch})
    sagas = {101: service.create(customer_id=101, execute=False)}
    for customer in (*range(102, 114), *ENDS, *RETRYING):
        sagas[customer] = service.create(customer_id=customer)
    for customer, saga_id in sagas.items():
        if customer in RETRYING:
            step = RETRYING[customer]
            eventually(partial(waits, service, saga_id, step), 30, f"{step} waits")
        elif customer != 101:
            service.ends(saga_id, ENDS.get(customer, "completed"))
    return sagas


def waits(service: Service, saga_id: str, step: str) -> bool:
    """Whether the step's first attempt is over, and the next one is not yet due."""
    steps = {s["name"]: s for s in service.get(f"/{saga_id}")["steps"]}
    return bool(steps[step]["error"])


def propose(page: Page, saga_id: str) -> None:
    """Propose to compensate a completed saga, and look at the proposal."""
    page.goto(f"{page.url}{saga_id}/change/")
    console.ask(page, "Compensate")
    console.confirm(page, "Propose: Compensate", "The batch was recalled, ticket 4711")
    expect(page.get_by_role("button", name="Withdraw")).to_be_visible()


def retry_many(page: Page, saga_ids: list[str]) -> None:
    """Retry sagas of which one cannot be retried."""
    console.choose(page, saga_ids, "Retry: preview")
    console.confirm(page, "Retry", "The bank is up again")
    done = console.label(page, "Not all went well: 1 refused")
    expect(done).to_be_visible(timeout=20_000)


def resolve(page: Page, saga_id: str) -> None:
    """Preview what follows when the payment took effect."""
    page.goto(f"{page.url}{saga_id}/resolve/")
    page.get_by_label("It took effect").check()
    page.get_by_label("Evidence").fill("The bank's statement of today shows the payment")
    page.get_by_label("Output").fill('{"payment_id": "pay-8812"}')
    console.preview(page)


def take(browser: Browser, service: Service, sagas: dict[int, str]) -> None:
    """Write the images, as operators see the pages."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    options: Any = {"viewport": SIZE, "reduced_motion": "reduce"}
    with browser.new_context(**options) as mine, browser.new_context(**options) as others:
        operator, colleague = Visitor(mine, service.url), Visitor(others, service.url)
        operator.log_in("operator")
        colleague.log_in("colleague")
        failed = f"{LIST}{sagas[202]}/change/"
        shoot("overview", operator.go(ADMIN))
        shoot("list", operator.go(LIST))
        operator.page.set_viewport_size(SIZE | {"height": 1500})  # down to the chart
        shoot("failed", operator.go(failed))
        operator.page.set_viewport_size(SIZE)
        operator.page.emulate_media(color_scheme="dark")
        shoot("failed-dark", operator.go(failed))
        operator.page.emulate_media(color_scheme="light")
        shoot("compensate", operator.go(f"{LIST}{sagas[204]}/compensate/"), whole=True)
        resolve(operator.go(LIST), sagas[203])
        shoot("resolve", operator.page, whole=True)
        propose(operator.go(LIST), sagas[102])
        colleague.page.goto(operator.page.url)
        shoot("approval", colleague.page, whole=True)
        retry_many(operator.go(LIST), [sagas[205], sagas[206], sagas[103]])
        shoot("bulk", operator.page)
        assert operator.wrong + colleague.wrong == []


def shoot(name: str, page: Page, *, whole: bool = False) -> None:
    """Write an image of the part of the page that is seen at first, or of the whole page."""
    page.wait_for_load_state("networkidle")
    page.evaluate("scrollTo(0, 0)")
    write(name, page.screenshot(animations="disabled", caret="hide", full_page=whole))


def write(name: str, png: bytes) -> None:
    """Write an image in few colours, which takes a third of the bytes."""
    with Image.open(BytesIO(png)) as image:
        few = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(IMAGES / f"{name}.png", optimize=True)


def main() -> int:
    with sync_playwright() as playwright:
        try:
            path = chromium.executable(playwright)
        except chromium.NoChromium as why:
            print(why, file=sys.stderr)
            return 1
        with (
            playwright.chromium.launch(executable_path=path, args=["--no-sandbox"]) as browser,
            running() as service,
        ):
            take(browser, service, buy(service))
    for image in sorted(IMAGES.glob("*.png")):
        print(f"{image.relative_to(ROOT)}  {image.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
