"""Events as records: a kind and plain JSON data, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from sagas.domain import attempts as at
from sagas.domain import events as ev
from sagas.domain import mending
from sagas.domain.state import CallKind

_RECORDED: tuple[type[ev.Event], ...] = (
    ev.SagaCreated,
    ev.ExecuteRequested,
    ev.RetryRequested,
    ev.CompensateRequested,
    ev.CompensationTriggered,
    ev.Claimed,
    ev.HandedBack,
    ev.WorkerLost,
    ev.Parked,
    at.AttemptStarted,
    at.AttemptSucceeded,
    at.AttemptRefused,
    at.AttemptFailed,
    at.AttemptInterrupted,
    at.AttemptHeld,
    at.AttemptBroken,
    ev.SagaCompleted,
    ev.SagaCompensated,
    ev.SagaFailed,
    mending.DoubtResolved,
    mending.StepSkipped,
    mending.DataEdited,
)


def _kind(cls: type[ev.Event]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


KINDS: Mapping[str, type[ev.Event]] = {_kind(cls): cls for cls in _RECORDED}
"""The kinds of event by the names under which they are stored and shown."""

_NAMES = {cls: kind for kind, cls in KINDS.items()}
_FIELDS = {cls: tuple(field.name for field in fields(cls)) for cls in _RECORDED}


def encode(event: ev.Event) -> tuple[str, dict[str, Any]]:
    """The event's kind and its data as JSON values; absent values are left out."""
    cls = type(event)
    data = {name: _plain(getattr(event, name)) for name in _FIELDS[cls]}
    return _NAMES[cls], {name: value for name, value in data.items() if value is not None}


def decode(kind: str, data: Mapping[str, Any]) -> ev.Event:
    """The event that was encoded so. Raises KeyError, TypeError or ValueError if none was."""
    values = dict(data)
    for name in values.keys() & {"due_at", "deadline", "until", "retry_at"}:
        values[name] = datetime.fromisoformat(values[name])
    if "call" in values:
        values["call"] = CallKind(values["call"])
    if "steps" in values:
        values["steps"] = tuple(values["steps"])
    cls = KINDS[kind]
    for name in ("deadline", "retry_at"):
        if name in _FIELDS[cls]:
            values.setdefault(name, None)
    return cls(**values)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return list(value)
    return value
