"""The translations, kept without GNU gettext: extracted, merged, written and compiled by Babel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from gettext import GNUTranslations
from io import BytesIO
from pathlib import Path
from typing import Any

import django
import unfold
from babel.messages import Catalog, Message
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parents[2]
OURS = ("sagas", "executors", "sagaproject", "templates")
LANGUAGES = ("fr",)
_KEYWORDS: dict[str, Any] = {
    **dict.fromkeys(("_", "gettext", "gettext_lazy", "gettext_noop")),
    **dict.fromkeys(("ngettext", "ngettext_lazy"), (1, 2)),
    **dict.fromkeys(("pgettext", "pgettext_lazy"), ((1, "c"), 2)),
    **dict.fromkeys(("npgettext", "npgettext_lazy"), ((1, "c"), 2, 3)),
}
_PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{\w*\}")


class Lasting(Catalog):
    """A catalog whose header says nothing of when and by which version it was written."""

    @property
    def mime_headers(self) -> list[tuple[str, str]]:
        return [
            ("Language", str(self.locale)),
            ("MIME-Version", "1.0"),
            ("Content-Type", "text/plain; charset=UTF-8"),
            ("Content-Transfer-Encoding", "8bit"),
            ("Plural-Forms", self.plural_forms),
        ]


def folder(language: str) -> Path:
    """Where Django finds the language's translations."""
    return ROOT / "sagas/locale" / language / "LC_MESSAGES"


def extracted() -> Catalog:
    """All texts that our pages show: our own, and unfold's where Django has no translation."""
    found = Catalog()
    for name in OURS:
        for path in _sources(ROOT / name):
            _add(found, path, str(path.relative_to(ROOT)))
    theirs = Catalog()
    package = Path(unfold.__file__).parent
    for path in _sources(package):
        if "contrib" not in path.relative_to(package).parts:
            _add(theirs, path, f"unfold/{path.relative_to(package)}")
    for message in theirs:
        if message.id and not all(_django_has(language, message) for language in LANGUAGES):
            found.add(message.id, locations=message.locations, context=message.context)
    return found


def kept(language: str) -> Catalog:
    """What the language's django.po holds; empty if there is none yet."""
    path = folder(language) / "django.po"
    if not path.exists():
        return Catalog(locale=language, header_comment="")
    with path.open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


def merged(language: str, texts: Catalog) -> Catalog:
    """Those texts with the translations that are kept of them, and none that is guessed."""
    known = kept(language)
    result = Lasting(locale=language, header_comment=known.header_comment, fuzzy=False)
    for message in texts:
        if message.id:
            old = known.get(message.id, message.context)
            same = old is not None and old.id == message.id
            result.add(
                message.id,
                string=old.string if old is not None and same else None,
                locations=message.locations,
                context=message.context,
                user_comments=old.user_comments if old is not None else (),
            )
    return result


def as_po(catalog: Catalog) -> bytes:
    """The content of django.po: sorted, and without line numbers, so that changes are few."""
    file = BytesIO()
    write_po(file, catalog, width=100, sort_output=True, include_lineno=False)
    return file.getvalue()


def as_mo(catalog: Catalog) -> bytes:
    """The content of django.mo, all that Django reads."""
    file = BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


def forms(message: Message) -> list[tuple[str, str]]:
    """Each translated form of the message with the original that it stands for."""
    if isinstance(message.id, str):
        return [(message.id, str(message.string or ""))]
    one, many = message.id
    said = list(message.string or ())
    return [(one, said[0]), *((many, form) for form in said[1:])]


def placeholders(text: str) -> list[str]:
    """What is filled in, in order of its names."""
    return sorted(_PLACEHOLDER.findall(text))


def _sources(place: Path) -> Iterator[Path]:
    yield from sorted(path for path in place.rglob("*") if path.suffix in (".py", ".html"))


def _add(catalog: Catalog, path: Path, name: str) -> None:
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".html":
        # Python in all but its indentation.
        lines = templatize(source, origin=name).splitlines()
        source = "\n".join(line.strip() for line in lines)
    for _, message, _, context in extract("python", BytesIO(source.encode()), _KEYWORDS):
        catalog.add(message, locations=[(name, 0)], context=context)


def _django_has(language: str, message: Message) -> bool:
    msgid = message.id[0] if isinstance(message.id, tuple) else message.id
    return any(catalog.keys() & {msgid, (msgid, 0)} for catalog in _django(language))


@cache
def _django(language: str) -> list[dict[Any, str]]:
    found = []
    for place in ("conf", "contrib/admin", "contrib/auth"):
        root = Path(django.__file__).parent / place / "locale" / language
        with (root / "LC_MESSAGES/django.mo").open("rb") as file:
            found.append(GNUTranslations(file)._catalog)  # type: ignore[attr-defined]
    return found
