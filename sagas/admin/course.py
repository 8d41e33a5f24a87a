"""The course of a run: its attempts, and the waits between them. Plain Python without Django."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol


class Recorded(Protocol):
    """An event as it is stored."""

    seq: int
    kind: str
    step: str
    at: datetime
    data: Any


class Result(StrEnum):
    """What became of an attempt."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    FAILED = "failed"  # it never reached the participant
    IN_DOUBT = "in_doubt"
    INTERRUPTED = "interrupted"
    BROKEN = "broken"


class WaitKind(StrEnum):
    """What a saga waits for while nothing is called."""

    WORKER = "worker"
    BACKOFF = "backoff"
    BREAKER = "breaker"
    PARKED = "parked"
    LEASE = "lease"  # of a worker that vanished
    PERSON = "person"


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One attempt of an action or a compensation."""

    seq: int
    """Number of the event that tells of it first."""

    step: str
    call: str
    number: int | None
    round: int
    """Counted from 1; a person's retry in the same run starts the next."""

    started: datetime
    ended: datetime | None = None
    """None while it is under way."""

    result: Result = Result.RUNNING
    duration_ms: float | None = None
    """As the worker's clock measured it."""

    error: str = ""
    answer: Any = None
    output: Any = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Wait:
    """A time in which nothing was called."""

    kind: WaitKind
    start: datetime
    end: datetime | None = None
    """None while it lasts."""

    until: datetime | None = None
    """When it is to end, where that is known."""

    step: str = ""
    """The step whose call waits; empty where the events name none."""

    call: str = ""
    why: str = ""


@dataclass(kw_only=True, slots=True)
class Course:
    """A run, in order."""

    attempts: list[Attempt] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    requests: dict[tuple[str, str], Any] = field(default_factory=dict)
    """What all attempts of a call send, by step and call."""


def read(data: Any, name: str, kind: type | tuple[type, ...], default: Any = None) -> Any:
    """The value, if it is there and of that kind: what is recorded may be anything."""
    value = data.get(name) if isinstance(data, Mapping) else None
    return value if isinstance(value, kind) else default


def moment(data: Any, name: str) -> datetime | None:
    """The time, if it is there and one."""
    try:
        at = datetime.fromisoformat(read(data, name, str, ""))
    except ValueError:
        return None
    return at if at.tzinfo else None
