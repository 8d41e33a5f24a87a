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
from playwright.sync_api import Browser, sync_playwright

from tests.acceptance.service import ROOT, Service, eventually
from tests.browser import chromium
from tests.browser.visitor import ADMIN, Visitor
from tests.free_port import free_port

IMAGES = ROOT / "docs/images"
SIZE: Any = {"width": 1280, "height": 800}
COLOURS = 128
LIST = f"{ADMIN}sagas/saga/"

# What the participants do to the purchases of which customers.
FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("payment", {"step": "process_payment", "fault": "decline", "match": {"customer_id": 201}}),
    ("sales", {"step": "create_sale", "fault": "decline", "match": {"customer_id": 202}}),
    ("payment", {"step": "refund_payment", "fault": "decline"}),  # only 202's comes to it
    ("payment", {"step": "process_payment", "fault": "late", "match": {"customer_id": 203}}),
    ("sales", {"step": "create_sale", "fault": "error", "match": {"customer_id": 204}}),
]
ENDS = {201: "compensated", 202: "failed"}
RETRYING = {203: "process_payment", 204: "create_sale"}


@contextmanager
def running() -> Iterator[Service]:
    """The whole system, whose retries wait for a minute, so that they are still to be seen."""
    with tempfile.TemporaryDirectory() as folder:
        service = Service(
            Path(folder), free_port(), SAGA_RETRY_DELAY_MS="60000", SAGA_CALL_TIMEOUT_MS="1500"
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


def shots(sagas: dict[int, str]) -> Iterator[tuple[str, str, str]]:
    """The name of each image, the path of its page, and the scheme."""
    failed = f"{LIST}{sagas[202]}"
    yield "overview", ADMIN, "light"
    yield "list", LIST, "light"
    yield "failed", f"{failed}/change/", "light"
    yield "failed-dark", f"{failed}/change/", "dark"
    yield "compensate", f"{failed}/compensate/", "light"


def take(browser: Browser, service: Service, sagas: dict[int, str]) -> None:
    """Write the images, as an operator sees the pages."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    session = None
    for name, path, scheme in shots(sagas):
        with browser.new_context(
            viewport=SIZE,
            color_scheme=scheme,  # type: ignore[arg-type]
            reduced_motion="reduce",
            storage_state=session,
        ) as context:
            visitor = Visitor(context, service.url)
            if session is None:
                visitor.log_in("operator")
                session = context.storage_state()
            page = visitor.go(path)
            page.wait_for_load_state("networkidle")
            write(name, page.screenshot(animations="disabled", caret="hide"))
            assert visitor.wrong == [], name


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
