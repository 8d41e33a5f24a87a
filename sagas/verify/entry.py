"""An entry of a participant's ledger: one call that arrived, whatever came of it.

The format, one JSON object an entry (a line of a file, or an item of `entries` in the answer
to `GET BASE/ledger?after=SEQ&limit=N`):

    service      the participant's name
    seq          whole number, grows with each arrival at that participant
    at           when it arrived, ISO 8601 with an offset
    key          its Idempotency-Key, or null
    saga_id      its Saga-Id, or null
    run          its Saga-Run, a number or a text of one, or null
    step         its Saga-Step: the action's or compensation's own name
    kind         "action" or "compensation"
    outcome      "applied": it had its effect now;      "replayed": answered as before, no effect;
                 "checked": read-only, nothing to undo; "noop": a compensation of nothing;
                 "barred": an action after its compensation; "refused"; "faulted": no effect
    compensates  its Compensates, or null
    body_sha256  of the bytes of its body, in hexadecimal, or null if they were not read
    amount       the money that it moved or asked for, as a decimal text, or null
    status       the HTTP status of the answer, or null; may be left out
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sagas.domain.state import CallKind

APPLIED, CHECKED, NOOP = "applied", "checked", "noop"
_OUTCOMES = (APPLIED, "replayed", "refused", "barred", NOOP, CHECKED, "faulted")
_TEXTS = ("key", "saga_id", "compensates", "body_sha256")


class BadEntry(ValueError):
    """Something that is not an entry of a ledger; says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One call that arrived at a participant; see the module for the fields."""

    service: str
    seq: int
    at: datetime
    key: str | None
    saga_id: str | None
    run: int | None
    step: str
    kind: CallKind
    outcome: str
    compensates: str | None
    body_sha256: str | None
    amount: Decimal | None
    status: int | None = None


_FIELDS = frozenset(Entry.__dataclass_fields__)
_REQUIRED = _FIELDS - {"status"}


def entry_of(value: Any) -> Entry:
    """The entry that these JSON values are. Raises BadEntry."""
    if not isinstance(value, Mapping):
        raise BadEntry("an entry is a JSON object")
    if missing := _REQUIRED - value.keys():
        raise BadEntry(f"it lacks {', '.join(sorted(missing))}")
    if unknown := value.keys() - _FIELDS:
        raise BadEntry(f"it has unknown fields: {', '.join(sorted(map(str, unknown)))}")
    for name in _TEXTS:
        if not isinstance(value[name], str | None):
            raise BadEntry(f"{name} is neither a text nor null")
    for name in ("service", "step"):
        if not isinstance(value[name], str) or not value[name]:
            raise BadEntry(f"{name} is not a text")
    if value["outcome"] not in _OUTCOMES:
        raise BadEntry(f"the outcome {value['outcome']!r} is none of {', '.join(_OUTCOMES)}")
    texts = {name: value[name] for name in (*_TEXTS, "service", "step", "outcome")}
    return Entry(**texts, **_converted(value))


def _converted(value: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are more than texts."""
    name = ""
    try:
        name = "seq"
        seq = _whole(value[name])
        name = "run"
        run = None if value[name] is None else _whole(value[name])
        name = "status"
        status = None if value.get(name) is None else _whole(value[name])
        name = "kind"
        kind = CallKind(value[name])
        name = "amount"
        amount = None if value[name] is None else _money(value[name])
        name = "at"
        at = datetime.fromisoformat(value[name])
        if at.tzinfo is None:
            raise ValueError
    except (ValueError, TypeError, ArithmeticError):
        raise BadEntry(f"{name} cannot be {value[name]!r}") from None
    return {"seq": seq, "run": run, "status": status, "kind": kind, "amount": amount, "at": at}


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError
    return int(value)


def _money(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError  # a float is no money
    amount = Decimal(value)
    if not amount.is_finite():
        raise ValueError
    return amount
