"""What a person reads on a page: its texts and labels, without icons, code and documents."""

from __future__ import annotations

from html.parser import HTMLParser

_NOT_READ = {"script", "style", "pre", "code", "template", "textarea"}
_ICON = "material-symbols-outlined"
_LABELS = {
    "title", "aria-label", "placeholder", "alt", "data-live-pause", "data-live-resume",
    "data-live-stale", "data-live-say", "data-copied",
}  # fmt: skip
_VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}


def texts(html: str) -> set[str]:
    """The texts of the page, each with single spaces."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return {" ".join(text.split()) for text in reader.found} - {""}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._unread: list[str] = []
        """The open elements from the first one on that is not read."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.found += [named[name] or "" for name in _LABELS & named.keys()]
        if tag == "input" and named.get("type") in ("submit", "button"):
            self.found.append(named.get("value") or "")
        icon = _ICON in (named.get("class") or "").split()
        if tag not in _VOID and (self._unread or tag in _NOT_READ or icon):
            self._unread.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._unread and tag == self._unread[-1]:
            self._unread.pop()

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self.found.append(data)
