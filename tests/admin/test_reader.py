"""From recorded events to the attempts and waits of a run: a table of histories, and odd rows."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sagas.admin.course import Course
from sagas.admin.reader import course

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass
class Row:
    """An event as it is stored."""

    seq: int
    kind: str
    step: str
    at: datetime
    data: Any


def iso(seconds: float) -> str:
    return (T0 + timedelta(seconds=seconds)).isoformat()


def rows(*told: tuple[Any, ...]) -> list[Row]:
    """Events from (seconds, kind, step, data); the last two may be absent."""
    full = [(*each, "", {})[:4] if len(each) == 2 else (*each, {})[:4] for each in told]
    return [
        Row(number, kind, step, T0 + timedelta(seconds=at), data)
        for number, (at, kind, step, data) in enumerate(full, 1)
    ]


def told(made: Course) -> list[str]:
    """What is made of it, in the order of time, in a line each."""

    def seconds(at: datetime | None) -> str:
        return "now" if at is None else f"{(at - T0).total_seconds():g}"

    lines = [
        (
            a.started,
            f"{a.step}/{a.call}#{a.number} {a.result} {seconds(a.started)}-{seconds(a.ended)}",
        )
        for a in made.attempts
    ]
    lines += [(w.start, f"{w.kind} {seconds(w.start)}-{seconds(w.end)}") for w in made.waits]
    return [line for _, line in sorted(lines, key=lambda pair: pair[0])]


def read(events: Iterable[Row], now: float = 100) -> list[str]:
    return told(course(events, T0 + timedelta(seconds=now)))


A = {"call": "action", "attempt": 1}
A2 = {"call": "action", "attempt": 2}
C = {"call": "compensation", "attempt": 1}
START = [(0, "saga_created"), (1, "execute_requested")]
LEASE = {"until": iso(20)}

HISTORIES: dict[str, tuple[list[tuple[Any, ...]], list[str]]] = {
    "nothing yet": ([(0, "saga_created")], []),
    "due and no worker": (START, ["worker 1-now"]),
    "a success": (
        [
            *START,
            (3, "claimed", "", LEASE),
            (3, "attempt_started", "pay", A | LEASE),
            (5, "attempt_succeeded", "pay", A | {"duration_ms": 1990.0}),
            (5, "saga_completed"),
        ],
        ["worker 1-3", "pay/action#1 succeeded 3-5"],
    ),
    "in flight": (
        [(3, "claimed", "", {}), (3, "attempt_started", "pay", A | {"until": iso(200)})],
        ["pay/action#1 running 3-now"],
    ),
    "in flight, its lease over": (
        [(3, "claimed", "", {}), (3, "attempt_started", "pay", A | LEASE)],
        ["pay/action#1 interrupted 3-20", "lease 20-now"],
    ),
    "a worker vanished, its lease ended": (
        [
            (3, "attempt_started", "pay", A | LEASE),
            (25, "claimed", "", {"until": iso(32)}),
            (25, "attempt_interrupted", "pay", A | {"error": "gone"}),
            (26, "attempt_started", "pay", A2 | {"until": iso(200)}),
        ],
        [
            "pay/action#1 interrupted 3-20",
            "lease 20-25",
            "pay/action#2 running 26-now",
        ],
    ),
    "a worker was seen to be lost": (
        [
            (3, "attempt_started", "pay", A | LEASE),
            (8, "worker_lost", "", {}),
            (12, "claimed", "", LEASE),
            (12, "attempt_interrupted", "pay", A),
        ],
        ["pay/action#1 interrupted 3-8", "worker 8-12"],
    ),
    "a wait before the next attempt, and for a worker": (
        [
            (3, "attempt_started", "pay", A | LEASE),
            (4, "attempt_failed", "pay", A | {"in_doubt": True, "retry_at": iso(10)}),
            (15, "claimed", "", {"until": iso(200)}),
            (15, "attempt_started", "pay", A2 | {"until": iso(200)}),
            (16, "attempt_failed", "pay", A2 | {"in_doubt": False}),
        ],
        [
            "pay/action#1 in_doubt 3-4",
            "backoff 4-10",
            "worker 10-15",
            "pay/action#2 failed 15-16",
        ],
    ),
    "a wait that lasts": (
        [
            (3, "attempt_started", "pay", A | LEASE),
            (4, "attempt_failed", "pay", A | {"in_doubt": True, "retry_at": iso(1000)}),
        ],
        ["pay/action#1 in_doubt 3-4", "backoff 4-now"],
    ),
    "held back is no attempt": (
        [
            (3, "attempt_started", "pay", A | LEASE),
            (3.1, "attempt_held", "pay", A | {"reason": "open", "due_at": iso(30)}),
            (30.5, "claimed", "", LEASE),
        ],
        ["breaker 3-30.5"],
    ),
    "parked": (
        [*START, (2, "claimed", "", LEASE), (2, "parked", "", {"due_at": iso(500)})],
        ["worker 1-2", "parked 2-now"],
    ),
    "a step that was never built": (
        [(2, "claimed", "", LEASE), (3, "attempt_broken", "pay", A | {"error": "KeyError"})],
        ["pay/action#1 broken 3-3"],
    ),
    "failed, and retried by a person": (
        [
            (3, "attempt_started", "pay", C | LEASE),
            (4, "attempt_refused", "pay", C | {"error": "no"}),
            (4, "saga_failed", "", {}),
            (60, "retry_requested", "", {"run": 1}),
            (61, "claimed", "", {"until": iso(200)}),
        ],
        ["pay/compensation#1 refused 3-4", "person 4-60", "worker 60-61"],
    ),
    "completed, and compensated later": (
        [
            (5, "saga_completed", "", {}),
            (50, "compensate_requested", "", {}),
            (50, "compensation_triggered", "", {}),
            (51, "claimed", "", {"until": iso(200)}),
        ],
        ["person 5-50", "worker 50-51"],
    ),
    "a compensate with a call in flight waits for it": (
        [
            (3, "attempt_started", "pay", A | {"until": iso(200)}),
            (4, "compensate_requested", "", {}),
            (6, "attempt_succeeded", "pay", A),
        ],
        ["pay/action#1 succeeded 3-6"],
    ),
    "handed back": ([(5, "handed_back", "", {})], ["worker 5-now"]),
    "the start is not among the events": (
        [(9, "attempt_succeeded", "pay", A | {"duration_ms": 2000})],
        ["pay/action#1 succeeded 7-9"],
    ),
    "an event of a newer version": (
        [(3, "attempt_started", "pay", A | {"until": iso(200)}), (4, "branch_opened", "x", {})],
        ["pay/action#1 running 3-now"],
    ),
    "a clock that went back": (
        [(5, "attempt_started", "pay", A), (3, "attempt_succeeded", "pay", A)],
        ["pay/action#1 succeeded 5-5"],
    ),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_the_course_of_a_run(name: str) -> None:
    events, expected = HISTORIES[name]
    assert read(rows(*events)) == expected


def test_rounds_are_counted_by_a_persons_retries() -> None:
    attempt = [(3, "attempt_started", "pay", A), (4, "attempt_refused", "pay", A)]
    retry = (60, "retry_requested", "", {"run": 2})
    made = course(rows(retry, *attempt, (9, "saga_failed"), retry, *attempt), T0)
    assert [each.round for each in made.attempts] == [1, 2]


def test_the_request_is_kept_by_call() -> None:
    made = course(
        rows(
            (1, "attempt_started", "pay", A | {"request": {"path": "/first"}}),
            (2, "attempt_held", "pay", A),
            (3, "attempt_started", "pay", C | {"request": {"path": "/back"}}),
            (4, "attempt_refused", "pay", C | {"request": {"path": "/later"}}),
        ),
        T0,
    )
    assert made.requests == {
        ("pay", "action"): {"path": "/first"},
        ("pay", "compensation"): {"path": "/back"},
    }


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "text",
        {"call": 7, "attempt": "x", "until": "never", "retry_at": 5, "duration_ms": "long"},
        {"until": "2026-01-01T00:00:00", "retry_at": "2026-01-01", "due_at": {}, "request": []},
        {"duration_ms": 1e300, "error": {}, "answer": [], "reason": 1},
        {"duration_ms": float("nan")},
        {"duration_ms": -5},
    ],
)
def test_rows_that_nothing_can_use_are_read(data: Any) -> None:
    kinds = [
        *("attempt_started", "attempt_failed", "attempt_held", "attempt_succeeded", "parked"),
        *("claimed", "worker_lost", "attempt_interrupted", "attempt_broken", "retry_requested"),
        *("attempt_started", "claimed", "saga_failed", "compensate_requested", "handed_back"),
    ]
    assert read(rows(*((at, kind, "pay", data) for at, kind in enumerate(kinds))))
