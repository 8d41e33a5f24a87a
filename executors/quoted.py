"""Finds fields and values in texts that quote a document: JSON, forms, queries, pages, prose."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus

from sagas.domain import strictjson

HIDDEN = "•••"
"""In the place of every secret, so that it tells neither type nor length."""

_LEAST = 4
"""Characters from which on a value is found inside of words, too."""

_LEAST_IN_NAME = 8
"""The same for the names of fields, which are words that a short value may well be part of."""

_CUT, _SURE = 200, 6
"""We cut texts off at so many characters or more, and with them perhaps a value at the end. A
shorter one may come so; there the end must be more of the value's beginning to be taken for it."""

_LONGEST_START = 2000

_ESCAPES = frozenset("\\%&")
_MOST_ODD = 64
"""Characters of a value that are looked for in each spelling: the pattern takes time to make."""

_SEPARATORS = str.maketrans("", "", "-_. ")
_BETWEEN = r"(?:[-_. ]|%5F|%2D|\\u005f|\\u002d)?"
_BEFORE = r"(?:(?<![A-Za-z0-9_-])|(?<=\\[bfnrt])|(?<=%[0-9A-Fa-f]{2}))"
_QUOTE = r"""\\*["']|&quot;|&\#(?:34|39|x27);|%22|%27"""
_AFTER = rf"(?:\[[^\]]{{0,50}}\])*(?:{_QUOTE})?\s*(?:=>|[:=>]|%3D|%3A)\s*"
_VALUE = rf"""(?:
    (?P<quote>{_QUOTE}) .*? (?:(?<!\\)(?P<end>(?P=quote)) | \Z)
    | (?:[\[{{]|%5B|%7B) .*                             # an object that was cut off: all the rest
    | {HIDDEN}
    | [^&,;\s<>}}\])"'\\]+ (?:[ -]\d+)*                 # also 4111 1111 1111 1111
)"""


def plain(name: Any) -> str:
    """The name of a field as names are compared: `cardNumber` is `card_number` is `Card-Number`."""
    return str(name).translate(_SEPARATORS).lower()


def fields(names: frozenset[str]) -> re.Pattern[str] | None:
    """Finds fields of these plain names, with their values, in a text; None without names."""
    if not names:
        return None
    each = (_BETWEEN.join(map(re.escape, name)) for name in sorted(names, key=len, reverse=True))
    named = rf"{_BEFORE}(?:{'|'.join(each)}){_AFTER}"
    return re.compile(rf"(?P<field>{named}){_VALUE}", re.IGNORECASE | re.DOTALL | re.VERBOSE)


def hide_fields(found: re.Pattern[str] | None, text: str) -> str:
    """The text without the values of the fields that the pattern finds in it."""
    return text if found is None else found.sub(_hidden, text)


def _hidden(match: re.Match[str]) -> str:
    return f"{match['field']}{match['quote'] or ''}{HIDDEN}{match['end'] or ''}"


def unpacked(text: str) -> Any:
    """The object, array or text that the text is as JSON; None if it is none of them."""
    if text.lstrip()[:1] not in ("{", "[", '"'):
        return None
    try:
        return strictjson.loads(text.encode())
    except ValueError:
        return None


def query(text: str) -> Any:
    """The fields of a form or of a path's query; None if the text is neither."""
    if "=" not in text or any(map(str.isspace, text)):
        return None
    asked: dict[str, list[str]] = {}
    for name, value in parse_qsl(text.partition("?")[2] or text):
        asked.setdefault(name, []).append(value)
    return asked


class Values:
    """Secret values, and how to find them in a text, as they are or as something escaped them."""

    def __init__(self, values: Iterable[str]) -> None:
        wanted = {value.strip() for value in values}
        forms = {form for value in wanted for form in _forms(value) if len(form) >= _LEAST}
        self._long = sorted(forms, key=lambda form: (-len(form), form))
        words = sorted(re.escape(value) for value in wanted if len(value) == _LEAST - 1)
        self._words = re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)") if words else None
        self._odd = sorted(filter(_is_odd, wanted), key=len, reverse=True)

    @cached_property
    def _spelt(self) -> re.Pattern[str] | None:
        """Finds values whose special characters some library wrote in its own way."""
        spelt = ("".join(map(_spellings, value)) for value in self._odd)
        return re.compile("|".join(spelt), re.IGNORECASE) if self._odd else None

    def has(self, value: Any) -> bool:
        """Whether the number is such a value; the short ones are numbers of many things."""
        return (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and str(value) in self._long
        )

    def hide(self, text: str) -> str:
        """The text without the values."""
        text = self.whole(text)
        for form in self._long:
            text = _without_start(text, form)
        return text if self._words is None else self._words.sub(HIDDEN, text)

    def name(self, text: str) -> str:
        """The name of a field without the values."""
        return self.whole(text, _LEAST_IN_NAME)

    def whole(self, text: str, least: int = _LEAST) -> str:
        """The text without what is certainly one of the values, and has so many characters."""
        for form in self._long:
            if len(form) >= least and form in text:
                text = text.replace(form, HIDDEN)
        if self._spelt is not None and not _ESCAPES.isdisjoint(text):
            text = self._spelt.sub(HIDDEN, text)
        return text


def _is_odd(value: str) -> bool:
    """Whether libraries spell the value in several ways, and it is short enough to try them all."""
    return len(value) >= _LEAST_IN_NAME and 0 < sum(map(_is_escaped, value)) <= _MOST_ODD


def _is_escaped(character: str) -> bool:
    return character.isascii() and not character.isalnum() and character not in "-._~"


def _spellings(character: str) -> str:
    """A pattern for the character in JSON, addresses and pages; as itself, if nobody escapes it."""
    if not _is_escaped(character):
        return re.escape(character)
    code, itself = ord(character), re.escape(character)
    # Bounded, so that a text of nothing but backslashes takes no longer than another.
    json_like = rf"\\{{0,4}}{itself}|\\{{1,4}}u00{code:02x}"
    return rf"(?:{json_like}|%(?:25){{0,3}}{code:02x}|&(?:amp;)?\#(?:x0?{code:x}|0?{code});)"


def _without_start(text: str, form: str) -> str:
    """The text without a beginning of the value at its end, where it may have been cut off."""
    least = _LEAST if len(text) >= _CUT else _SURE
    for size in range(min(len(form) - 1, _LONGEST_START), least - 1, -1):
        if text.endswith(form[:size]):
            return text[:-size] + HIDDEN
    return text


def _forms(value: str) -> Iterator[str]:
    """What may stand for the value in JSON, JSON in JSON, addresses, pages, and Python's prose."""
    yield value
    if value.isascii() and value.isalpha():
        return
    if value.isascii() and value.isalnum():
        if value.isdecimal() and len(value) > 2 * _LEAST:
            groups = [value[at : at + 4] for at in range(0, len(value), 4)]
            yield from (" ".join(groups), "-".join(groups))
        return
    yield " ".join(value.split())
    digits = re.sub("[ -]", "", value)
    if digits.isdecimal() and len(digits) > 2 * _LEAST:
        yield digits
    for ascii_only in (True, False):
        escaped = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        yield from (escaped, json.dumps(escaped, ensure_ascii=ascii_only)[1:-1])
    for in_address in (quote(value), quote(value, safe=""), quote_plus(value)):
        yield from (in_address, re.sub("%..", lambda found: found[0].lower(), in_address))
    yield from (html.escape(value), html.escape(value, quote=False), repr(value)[1:-1])
