"""JSON from outside, read strictly (RFC 8259; I-JSON, RFC 7493)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

MAX_DEPTH = 32
_MAX_DIGITS = 30


def loads(body: bytes, *, exact: bool = False) -> Any:
    """The value. Raises ValueError saying what is wrong, also for what Python would accept:
    duplicate keys, numbers without end, NUL and lone surrogates, and very deep nesting.
    If `exact`, also for a number that would be rounded.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from error
    if text.startswith("\ufeff"):
        raise ValueError("starts with a byte order mark")
    try:
        value = (_EXACTLY if exact else _ROUNDED).decode(text)
    except RecursionError as error:
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep") from error
    # Without an escape no such character can be in it, and without brackets no depth.
    if "\\u" in text or text.count("[") + text.count("{") >= MAX_DEPTH:
        _check(value)
    return value


def _check(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                _check_text(item)
            elif isinstance(item, dict):
                below += item.keys()
                below += item.values()
            elif isinstance(item, list):
                below += item
        level = below


def _check_text(text: str) -> None:
    if "\0" in text:
        raise ValueError("the character U+0000 cannot be stored")
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        raise ValueError("a lone surrogate is not a character")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"the key {name[:50]!r} occurs twice in one object")
            seen.add(name)
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _exact(text: str) -> float:
    number = _finite(text)
    try:
        same = Decimal(repr(number)) == Decimal(text)
    except ArithmeticError:  # an exponent beyond all bounds
        same = False
    if not same:
        raise ValueError("a number has more digits than can be kept")
    return number


def _bounded(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"an integer has more than {_MAX_DIGITS} digits")
    return int(text)


def _decoder(parse_float: Callable[[str], float]) -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=_unique,
        parse_constant=_no_constant,
        parse_float=parse_float,
        parse_int=_bounded,
    )


_ROUNDED, _EXACTLY = _decoder(_finite), _decoder(_exact)
