"""Every page that the console links to: what none of them may do, and what each must bear."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.console import LIST, confirm, content, plan, preview, section
from tests.browser.known import EVIL, SCRIPT
from tests.browser.visitor import ADMIN, CONTRAST, Visitor

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.timeout(60, func_only=True)]


_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+")
_NO_PAGES = re.compile(r"/(api/v1|static|metrics|health|auth)|\.(yaml|json)$|/jsi18n/")


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


def test_every_page(visit: Visit, sagas: dict[str, str]) -> None:
    visitor = visit("root")
    begin = [f"{ADMIN}sagas/saga/{sagas['evil']}/change/", ADMIN]
    begin += [
        f"{ADMIN}sagas/saga/{sagas[s]}/change/" for s in ("in_doubt", "driven_now", "evil_sold")
    ]
    begin += [f"{LIST}approvals/{sagas['evil_proposal']}/"]
    found = {path: visitor.complaints() for path in pages(visitor, begin)}
    assert len(found) >= 18, sorted(found)
    assert "/api-docs" in found
    wrong = [f"{path} {what}" for path, complained in found.items() for what in complained]
    assert not wrong, "\n".join(wrong)


def test_nothing_that_others_wrote_runs(visit: Visit, sagas: dict[str, str]) -> None:
    """On the pages where people decide and read what was decided, with everything unfolded."""
    visitor = visit("root")
    evil, doubt, sold = (f"{LIST}{sagas[name]}/" for name in ("evil", "evil_doubt", "evil_sold"))
    own = {
        f"{evil}change/": SCRIPT,
        f"{evil}retry/": "",
        f"{evil}compensate/": "",
        f"{evil}skip/": "",
        f"{evil}edit_data/": "",
        f"{doubt}change/": SCRIPT,
        f"{sold}change/": SCRIPT,
        f"{sold}compensate/": "",
        f"{LIST}?q={EVIL}": "",
        f"{LIST}?q={sagas['evil']}": SCRIPT[:20],
        f"{LIST}bulk/": SCRIPT,
        f"{LIST}bulk/{sagas['evil_bulk']}/": SCRIPT,
        f"{LIST}approvals/": SCRIPT,
        f"{LIST}approvals/{sagas['evil_proposal']}/": SCRIPT,
        f"{LIST}approvals/{sagas['evil_decided']}/": SCRIPT,
    }
    for path, said in own.items():
        page = visitor.go(path)
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        ask_to_preview(page)
        expect(content(page)).to_contain_text(said)
        assert visitor.injected() == [], path


def ask_to_preview(page: Page) -> None:
    """Have the page of an operation preview it, if it does so only when told."""
    button = page.get_by_role("button", name="Preview", exact=True)
    if button.count():
        button.click()
        expect(section(page, "What will be called")).to_be_visible()


def test_no_reason_comment_or_data_runs(visit: Visit, sagas: dict[str, str]) -> None:
    """What somebody writes now, on the page that answers, and on the one that follows."""
    visitor = visit("operator")
    page = visitor.saga(sagas["evil_to_retry"], "retry")
    confirm(page, "Retry", SCRIPT)
    expect(page.get_by_text("Retry: accepted.")).to_be_visible()
    expect(section(page, "History")).to_contain_text(SCRIPT)
    assert visitor.injected() == []
    page = visitor.saga(sagas["in_doubt"], "resolve")
    page.get_by_label("Evidence").fill(SCRIPT)
    page.get_by_label("It took effect").check()
    page.get_by_label("Output").fill(json.dumps({"payment_id": SCRIPT}))
    preview(page)
    expect(plan(page).first.get_by_label("Body")).to_contain_text("window.__xss=3")
    page.get_by_label("Output").fill(SCRIPT)
    page.get_by_role("button", name="Preview again").click()
    expect(page.get_by_text("Not usable JSON")).to_be_visible()
    assert visitor.injected() == []
    page = visitor.go(f"{LIST}approvals/{sagas['evil_proposal']}/")
    page.get_by_label("Comment").fill(SCRIPT)
    page.get_by_role("button", name="Reject").click()
    expect(page.get_by_text("user:operator, ")).to_contain_text(SCRIPT)
    assert visitor.injected() == []


def test_users_and_groups_keep_to_the_policy_too(visit: Visit) -> None:
    """Their pages are Django's and unfold's own; what they want to run is allowed."""
    visitor = visit("root")
    for path in ("auth/user/", "auth/user/add/", "auth/group/add/", "password_change/"):
        page = visitor.go(f"{ADMIN}{path}")
        expect(content(page)).to_be_visible()
    visitor.go(f"{ADMIN}auth/user/")
    page.get_by_role("link", name="viewer", exact=True).click()
    expect(page.locator("#id_username")).to_be_visible()


_INLINE = """() => {
    document.body.innerHTML += `<img src=/static/none.png onerror="window.__xss=1">
        <a id="link" href="javascript:window.__xss=2">link</a>
        <iframe srcdoc="<script>parent.__xss=3</script>"></iframe>`;
    const script = document.createElement("script");
    script.textContent = "window.__xss=4";
    document.body.append(script);
    const elsewhere = document.createElement("script");
    elsewhere.src = "data:text/javascript,window.__xss=5";
    document.body.append(elsewhere);
    document.getElementById("link").click();
}"""


@pytest.mark.parametrize("path", [f"{ADMIN}login/", "/api-docs"])
def test_no_script_runs_that_somebody_got_into_a_page(visit: Visit, path: str) -> None:
    visitor = visit()
    page = visitor.go(path)
    page.evaluate(_INLINE)
    page.wait_for_timeout(300)
    assert visitor.injected() == []
    blocked = [what for what in visitor.wrong if "Content Security Policy" in what]
    assert len(blocked) >= 5, visitor.wrong
    visitor.wrong = []


def test_the_watch_sees(visit: Visit) -> None:
    """What the other tests find nothing of."""
    visitor = visit()
    page = visitor.go(f"{ADMIN}login/")
    page.evaluate("""() => {
        document.body.innerHTML += `<div id="content" style="width: 3000px; color: #777;
            background: #888">faint<img src=/static/none.png></div>`;
        window.__xss = 1;
        console.error("oh");
        setTimeout(() => { alert("hello"); throw new Error("thrown"); });
    }""")
    page.wait_for_timeout(300)
    assert visitor.injected() == ["script 1 ran"]
    assert any("3" in text for text in visitor.too_wide())
    assert any("faint" in text for text in visitor.too_faint("light", CONTRAST))
    page.goto("about:blank")  # our own pages may not even ask
    page.evaluate("fetch('http://localhost:9999/').catch(() => 0)")
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
