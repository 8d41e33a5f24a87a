"""Secrets in what is kept: invariant 20."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

from sagas.verify.case import Case, Verdicts

_CHUNK = 1 << 20


def rows_hold_no_secret(case: Case) -> Verdicts:
    """20: no secret occurs in any column of the saga's rows or events, names of fields included.

    A secret that was encoded (base64, a hash, parts of it) is not found; nor are pages and
    answers looked at, other than in files that are scanned.
    """
    if not case.rules.secrets:
        return
    for name, stored in case.history.stored.items():
        yield _found(case.rules.secrets, name, stored)
    for fact in case.history.facts:
        seen = (fact.kind, fact.actor, fact.reason, fact.data)
        yield _found(case.rules.secrets, f"event {fact.seq}", seen)


def _found(secrets: tuple[str, ...], where: str, value: Any) -> str | None:
    for text in _texts(value):
        for number, secret in enumerate(secrets, start=1):
            if secret in text:
                return f"{where} has secret {number}"
    return None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, below in value.items():
            yield str(name)
            yield from _texts(below)
    elif isinstance(value, list | tuple):
        for below in value:
            yield from _texts(below)
    elif value is not None:
        yield str(value)


def secrets_in(file: BinaryIO, secrets: Iterable[str]) -> set[int]:
    """The numbers, from 1, of the secrets that the file has, as they are or escaped as in JSON."""
    forms = {
        form.encode(): number
        for number, secret in enumerate(secrets, start=1)
        for form in (
            secret,
            json.dumps(secret)[1:-1],
            json.dumps(secret, ensure_ascii=False)[1:-1],
        )
    }
    longest = max(map(len, forms), default=0)
    found: set[int] = set()
    tail = b""
    while chunk := file.read(_CHUNK):
        text = tail + chunk
        found |= {number for form, number in forms.items() if form in text}
        tail = text[-(longest - 1) :] if longest > 1 else b""
    return found
