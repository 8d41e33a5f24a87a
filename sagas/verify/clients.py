"""What clients were told, against the database: invariants 14, 15 and 16.

The format, one JSON object for each request that was made:

    op           "create", "execute", "compensate" or "retry"
    key          its Idempotency-Key, or null
    body_sha256  of its body, in hexadecimal, or null; equal exactly for equal requests
    status       the HTTP status of the answer; 0 when there was none
    saga_id      of the saga in the answer or, for an operation, in the address; or null
    client       the name of the API key that it was made with; left out without one
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sagas.domain.state import Operation

CREATE = "create"
_OPERATIONS = (CREATE, *(operation.value for operation in Operation))


class BadTold(ValueError):
    """Something that is not a client's request; says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """A request, and what the client was told."""

    op: str
    key: str | None
    body_sha256: str | None
    status: int
    saga_id: str | None
    client: str = ""

    @property
    def good(self) -> bool:
        """Whether it was accepted."""
        return 200 <= self.status < 300

    @property
    def unknown(self) -> bool:
        """Whether the client cannot know if it was accepted."""
        return self.status == 0 or self.status >= 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """What the database has of it."""

    ids: Collection[str]
    """Those of the sagas that were told of which exist."""

    by_key: Mapping[tuple[str, str], list[str]]
    """The sagas of each client's key that was told of."""

    commands: Mapping[tuple[str, str], int]
    """How often an operation was recorded for a saga, other than with its creation."""


Results = Iterator[tuple[int, str, str | None]]
"""Invariant, saga, and what is wrong, if anything is."""


def told_of(value: Any) -> Told:
    """The request that these JSON values are. Raises BadTold."""
    names = Told.__dataclass_fields__.keys()
    if not isinstance(value, Mapping) or value.keys() | {"client"} != {*names}:
        raise BadTold(f"it is no object with the fields {', '.join(names)}")
    if not isinstance(value.get("client", ""), str):
        raise BadTold("client is not a text")
    for name in ("key", "body_sha256", "saga_id"):
        if not isinstance(value[name], str | None):
            raise BadTold(f"{name} is neither a text nor null")
    if value["op"] not in _OPERATIONS:
        raise BadTold(f"op is none of {', '.join(_OPERATIONS)}")
    if not isinstance(value["status"], int) or isinstance(value["status"], bool):
        raise BadTold("status is not a whole number")
    return Told(**value)


def what_clients_saw(told: Iterable[Told], stored: Stored) -> Results:
    """Invariants 14, 15 and 16 together."""
    told = list(told)
    keys: dict[tuple[str, str], list[Told]] = defaultdict(list)
    for one in told:
        if one.op == CREATE and one.key is not None:
            keys[one.client, one.key].append(one)
    for (client, key), requests in keys.items():
        yield from _one_saga(key, requests, stored.by_key.get((client, key), []))
    for one in told:
        if one.good:
            lost = one.saga_id is None or one.saga_id not in stored.ids
            what = f"{one.op} was answered {one.status}, and there is no saga {one.saga_id}"
            yield 15, one.saga_id or "", what if lost else None
    yield from _commands(told, stored)


def _one_saga(key: str, requests: list[Told], sagas: list[str]) -> Results:
    """14 and 15: a key has one saga and one body; other bodies are refused with 422.

    A request without a key whose answer was lost cannot be followed.
    """
    accepted = {one.saga_id or "" for one in requests if one.good}
    several = len(accepted) > 1 or (accepted and accepted != set(sagas))
    what = f"key {key!r} was answered with {sorted(accepted)}, the database has {sorted(sagas)}"
    yield 14, min(accepted, default=""), what if several else None
    bodies = {one.body_sha256 for one in requests if one.good and one.body_sha256 is not None}
    if len(bodies) > 1:
        yield 14, min(accepted), f"key {key!r} was accepted with {len(bodies)} bodies"
    if any(one.status == 422 and one.body_sha256 in bodies for one in requests):
        yield 14, min(accepted), f"key {key!r} with the same body was answered 422"
    if len(sagas) > 1:
        yield 15, sagas[0], f"key {key!r} has {len(sagas)} sagas"
    if all(not one.good and not one.unknown for one in requests):
        yield 14, "", f"key {key!r} was always refused, and has a saga" if sagas else None


def _commands(told: list[Told], stored: Stored) -> Results:
    """16: as many commands are recorded as were accepted, at most as many more as got no answer.

    For a saga and an operation that occur in the file, it is taken to have every such request.
    """
    asked = Counter((one.saga_id or "", one.op) for one in told if one.op != CREATE)
    accepted = Counter((one.saga_id or "", one.op) for one in told if one.good)
    unknown = Counter((one.saga_id or "", one.op) for one in told if one.unknown)
    for saga, op in asked:
        least = accepted[saga, op]
        most = least + unknown[saga, op]
        recorded = stored.commands.get((saga, op), 0)
        what = f"{op} was accepted {least} times, got no answer {most - least} times"
        good = least <= recorded <= most
        yield 16, saga, None if good else f"{what}, and is recorded {recorded} times"
