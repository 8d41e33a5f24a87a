"""Every page that the console links to: what none of them may do, and what each must bear."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.acceptance.service import Service
from tests.browser.conftest import Visit
from tests.browser.known import EVIL, SCRIPT
from tests.browser.visitor import ADMIN, Visitor

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.timeout(60)]

CONTRAST = 4.3
"""The least contrast of text; level AA of WCAG has 4.5, but unfold's links in the dark 4.31."""

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+")
_NO_PAGES = re.compile(r"/(api/v1|static|metrics|health)|\.(yaml|json)$|/jsi18n/")


def pages(visitor: Visitor, begin: list[str]) -> Iterator[str]:
    """Open those pages, and one of each kind of address to which any of them links."""
    waiting = list(begin)
    seen = {_kind(path) for path in begin}
    while waiting:
        path = waiting.pop(0)
        visitor.go(path)
        yield path
        for link in sorted(visitor.links()):
            if _kind(link) not in seen and not _NO_PAGES.search(link.partition("?")[0]):
                seen.add(_kind(link))
                waiting.append(link)


def _kind(path: str) -> str:
    return _ID.sub("*", path.partition("?")[0])


def complaints(visitor: Visitor) -> list[str]:
    """What is wrong with the page that is open."""
    faint = [f for scheme in ("dark", "light") for f in visitor.too_faint(scheme, CONTRAST)]
    found = visitor.wrong + visitor.injected() + visitor.too_wide() + faint
    visitor.wrong = []
    return found


def test_every_page(visit: Visit, sagas: dict[str, str]) -> None:
    visitor = visit("root")
    begin = [f"{ADMIN}sagas/saga/{sagas['evil']}/change/", ADMIN]
    begin += [f"{ADMIN}sagas/saga/{sagas[s]}/change/" for s in ("in_doubt", "driven_now")]
    found = {path: complaints(visitor) for path in pages(visitor, begin)}
    assert len(found) >= 15, sorted(found)
    wrong = [f"{path} {what}" for path, complained in found.items() for what in complained]
    assert not wrong, "\n".join(wrong)


def test_nothing_that_others_wrote_runs(
    visit: Visit, service: Service, sagas: dict[str, str]
) -> None:
    """Also after an operation that was wanted for an evil reason, and in its message."""
    visitor = visit("operator")
    page = visitor.saga(sagas["evil"])
    for details in page.locator("details").all():
        details.evaluate("e => e.open = true")
    expect(page.get_by_text(EVIL).first).to_be_visible()
    visitor.page.locator("#content").get_by_role("link", name="Retry").click()
    page.get_by_label("Reason").fill(SCRIPT)
    page.get_by_role("button", name="Retry").click()
    page.wait_for_url("**/change/")
    expect(page.get_by_text(SCRIPT).first).to_be_visible()
    page.wait_for_timeout(200)
    assert visitor.injected() == []
    page = visitor.go(f"{ADMIN}sagas/saga/?q={EVIL}")
    assert visitor.injected() == []


def test_the_watch_sees(visit: Visit) -> None:
    """What the other tests find nothing of."""
    visitor = visit()
    page = visitor.go(f"{ADMIN}login/")
    page.evaluate("""() => {
        document.body.innerHTML += `<div id="content" style="width: 3000px; color: #777;
            background: #888">faint<img src=/static/none.png
            onerror="window.__xss=1; console.error('oh')"></div>`;
        fetch("http://localhost:9999/").catch(() => 0);
        setTimeout(() => { alert("hello"); throw new Error("thrown"); });
    }""")
    page.wait_for_timeout(300)
    assert visitor.injected() == ["script 1 ran"]
    assert any("3" in text for text in visitor.too_wide())
    assert any("faint" in text for text in visitor.too_faint("light", CONTRAST))
    said = " ".join(visitor.wrong)
    for part in (
        "asks another host: http://localhost:9999/",
        "dialog: hello",
        "thrown",
        "404: ",
        "oh",
    ):
        assert part in said, said
    visitor.wrong = []
