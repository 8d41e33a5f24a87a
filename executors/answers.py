"""What a participant's answer means: the table of verdicts."""

from __future__ import annotations

import json
from typing import Any

from rest_framework.serializers import Serializer

from sagas.domain import strictjson
from sagas.domain.outcome import Verdict
from sagas.domain.state import Json

_EXCERPT = 2000
"""Characters of an answer that are kept to show why an attempt went as it did."""

_ASKS_TO_COME_BACK = frozenset({408, 425, 429})


class Unusable(Exception):
    """A success whose body cannot be used: the effect is in doubt."""


def verdict_on(status: int, overrides: dict[int, Verdict]) -> Verdict:
    """The verdict on an answer's status alone; a success still needs its body read."""
    if status in overrides:
        return overrides[status]
    if 200 <= status < 300:
        return Verdict.SUCCEEDED
    if 400 <= status < 500 and status not in _ASKS_TO_COME_BACK:
        return Verdict.REFUSED
    # Also a redirect: following it could carry the key and the body to another host.
    return Verdict.IN_DOUBT


def read_output(body: bytes, headers: dict[str, str], answer: type[Serializer[Any]] | None) -> Json:
    """The validated content of a successful answer. Raises Unusable."""
    if headers.get("content-encoding", "identity") != "identity":
        raise Unusable("the answer is compressed, which was not asked for")
    try:
        value = strictjson.loads(body) if body.strip() else {}
    except ValueError as error:
        raise Unusable(f"the answer is not usable JSON: {error}") from error
    if not isinstance(value, dict):
        raise Unusable("the answer is not a JSON object")
    if answer is None:
        return value
    serializer = answer(data=value)
    if not serializer.is_valid():
        raise Unusable(f"the answer is not valid: {_first_errors(serializer.errors)}")
    return dict(serializer.to_representation(serializer.validated_data))


def excerpt(body: bytes) -> str:
    """The beginning of a body as text that the database can hold."""
    return body[: _EXCERPT * 4].decode("utf-8", "replace").replace("\0", "�")[:_EXCERPT]


def _first_errors(errors: Any) -> str:
    return json.dumps(errors, default=str)[:300]
