"""What participants are shown to let the service in; it is nowhere but in the environment."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from django.conf import settings

from executors.quoted import Values

_SURE = 8


def headers(participant: str) -> dict[str, str]:
    """The header that every call to the participant carries; none where nothing is set."""
    value = settings.SAGA_AUTHORIZATIONS.get(participant)
    return {} if value is None else {"Authorization": value}


def shown(participant: str) -> dict[str, str]:
    """The same for a person: a shell that has the variable puts the value in."""
    return {name: f"${variable(participant)}" for name in headers(participant)}


def variable(participant: str) -> str:
    """The environment variable that holds it."""
    return f"PARTICIPANT_{participant.upper()}_AUTHORIZATION"


def secrets() -> frozenset[str]:
    """What must be seen nowhere: the tokens, and what Basic encodes."""
    return _secrets(tuple(settings.SAGA_AUTHORIZATIONS.values()))


@lru_cache(maxsize=8)
def _secrets(values: tuple[str, ...]) -> frozenset[str]:
    return frozenset(each for value in values for each in _of(value))


def _of(value: str) -> Iterator[str]:
    scheme, _, token = value.partition(" ")
    yield token.strip() or scheme  # not with its scheme: that is no secret, and others' texts
    if scheme.lower() == "basic":
        try:
            login = base64.b64decode(token, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return
        yield login
        yield login.partition(":")[2]


def removed(document: Any) -> Any:
    """The JSON value without the secrets, should a participant send one back.

    For outputs, which keep what saga types declare secret, as later steps need it. They are data,
    so that only what is certainly a secret is taken out: whole, and of eight characters or more.
    """
    found = _sure(secrets())
    return _removed(document, found) if found else document


@lru_cache(maxsize=8)
def _sure(secrets: frozenset[str]) -> Values | None:
    found = [each for each in secrets if len(each) >= _SURE]
    return Values(found) if found else None


def _removed(value: Any, found: Values) -> Any:
    if isinstance(value, dict):
        return {found.whole(name): _removed(below, found) for name, below in value.items()}
    if isinstance(value, list):
        return [_removed(below, found) for below in value]
    return found.whole(value) if isinstance(value, str) else value
