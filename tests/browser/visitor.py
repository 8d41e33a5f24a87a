"""A person at the console: a window of the browser, and all that went wrong in it."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Page, Request, Response

from tests.browser.known import PASSWORD

ADMIN = "/admin/"

CONTRAST = 4.3
"""The least contrast of text; level AA of WCAG has 4.5, but unfold's links in the dark 4.31."""

_TOO_WIDE = """() => [document.documentElement, document.body]
    .filter(e => e.scrollWidth > document.documentElement.clientWidth)
    .map(e => `${e.tagName} is ${e.scrollWidth} px wide`)"""

# A link within a drawing has an address of another kind.
_ADDRESSES = "links => links.map(l => new URL(l.href.baseVal ?? l.href, document.baseURI).href)"

# Unfold asks for the browser's scheme when the page is loaded, and only then.
_SCHEME = """scheme => {
    document.documentElement.classList.toggle("dark", scheme === "dark");
    for (const animation of document.getAnimations())
        if (animation instanceof CSSTransition) animation.finish();
}"""

# Colours are painted on a canvas, as they come in any notation, and may be translucent.
_TOO_FAINT = """least => {
    const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
    const painted = new Map();
    const paint = (colours) => {
        const key = colours.join();
        if (!painted.has(key)) painted.set(key, light(mixed(colours)));
        return painted.get(key);
    };
    const mixed = (colours) => {
        canvas.clearRect(0, 0, 1, 1);
        for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const light = (rgb) => {
        const [r, g, b] = rgb.map(v => v / 255)
            .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        const colours = [];
        for (let e = element; e; e = e.parentElement) {
            const colour = getComputedStyle(e).backgroundColor;
            if (colour !== "rgba(0, 0, 0, 0)") colours.unshift(colour);
        }
        return ["white", ...colours];
    };
    const faint = [];
    for (const element of document.querySelectorAll("#main *, #content, #content *")) {
        const said = [...element.childNodes]
            .filter(n => n.nodeType === Node.TEXT_NODE).map(n => n.data.trim()).join(" ").trim();
        if (!said || !element.checkVisibility({opacityProperty: true})) continue;
        if (element.closest("[disabled], [aria-hidden=true], .material-symbols-outlined")) continue;
        const back = behind(element);
        const lights = [paint(back), paint([...back, getComputedStyle(element).color])];
        const ratio = (Math.max(...lights) + 0.05) / (Math.min(...lights) + 0.05);
        if (ratio < least) faint.push(`${ratio.toFixed(2)}: ${said.slice(0, 40)}`);
    }
    return [...new Set(faint)];
}"""


class Visitor:
    """A person's window, in which nobody has logged in at first."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.url = url
        self.wrong: list[str] = []
        """What no page may do: errors, missing files, dialogs, requests to other hosts."""

        self.refused: set[int] = set()
        """Statuses of pages that are as they should be, though they are errors."""

        self.context = context
        context.set_default_timeout(10_000)
        context.on("request", self._on_request)
        context.on("response", self._on_response)
        context.on("console", self._on_console)
        context.on("dialog", self._on_dialog)
        context.on("weberror", lambda error: self.wrong.append(f"script: {error.error}"))
        self.page: Page = context.new_page()

    def begin(self) -> None:
        """Start anew with an empty window, still logged in."""
        self.page.close()
        self.page, self.wrong, self.refused = self.context.new_page(), [], set()

    def log_in(self, name: str) -> None:
        """Log in by the form, as anybody does."""
        self.go(f"{ADMIN}login/")
        self.page.get_by_label("Username").fill(name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name=re.compile("log in|sign in", re.I)).click()
        self.page.wait_for_url(self.url + ADMIN)

    def resume(self, session: str) -> None:
        """Take up a session in which somebody has logged in."""
        self.context.add_cookies([{"name": "sessionid", "value": session, "url": self.url}])

    def go(self, path: str) -> Page:
        """Open an address of the service."""
        self.page.goto(self.url + path)
        return self.page

    def saga(self, saga_id: str, page: str = "change") -> Page:
        """Open a saga's page, or that of one of its operations."""
        return self.go(f"{ADMIN}sagas/saga/{saga_id}/{page}/")

    def links(self) -> set[str]:
        """The paths, with their queries, to which the page links within the service."""
        found = self.page.locator("a[href]").evaluate_all(_ADDRESSES)
        own = (link.removeprefix(self.url) for link in found if link.startswith(self.url + "/"))
        return {link.partition("#")[0] for link in own}

    def too_wide(self) -> list[str]:
        """What makes a telephone's screen scroll sideways."""
        self.page.set_viewport_size({"width": 380, "height": 800})
        found: list[str] = self.page.evaluate(_TOO_WIDE)
        self.page.set_viewport_size({"width": 1280, "height": 900})
        return found

    def too_faint(self, scheme: Any, least: float) -> list[str]:
        """The texts with less contrast than that, in the light or the dark scheme."""
        self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        self.page.evaluate(_SCHEME, scheme)
        found: list[str] = self.page.evaluate(_TOO_FAINT, least)
        return [f"{scheme} {text}" for text in found]

    def complaints(self) -> list[str]:
        """What is wrong with the page that is open, and was until now."""
        faint = [f for scheme in ("dark", "light") for f in self.too_faint(scheme, CONTRAST)]
        found = self.wrong + self.injected() + self.too_wide() + faint
        self.wrong = []
        return found

    def injected(self) -> list[str]:
        """What somebody's text did in the page."""
        ran = self.page.evaluate("window.__xss")
        return [] if ran is None else [f"script {ran} ran"]

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith((self.url + "/", "data:", "blob:")):
            self.wrong.append(f"asks another host: {request.url}")

    def _on_response(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.refused:
            self.wrong.append(f"{response.status}: {urlsplit(response.url).path}")

    def _on_console(self, message: ConsoleMessage) -> None:
        told = message.text.startswith("Failed to load resource")  # told with its address above
        if message.type in ("error", "warning") and not told:
            self.wrong.append(f"console: {message.text} ({message.location['url']})")

    def _on_dialog(self, dialog: Dialog) -> None:
        self.wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()
