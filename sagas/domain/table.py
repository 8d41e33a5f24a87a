"""The transition table, read off `decide` itself: it cannot say what the code does not do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sagas.domain import triggers as tr
from sagas.domain.decide import decide
from sagas.domain.definition import Definition, RetryPolicy, StepDefinition
from sagas.domain.events import SagaCreated, replay
from sagas.domain.outcome import Outcome, Verdict
from sagas.domain.rules import Illegal, call_to_start
from sagas.domain.state import Direction, SagaState, SagaStatus

_ONCE = RetryPolicy(max_retries=0)
_DEFINITION = Definition(
    type="example",
    version=1,
    deadline=timedelta(minutes=1),
    steps=(
        StepDefinition(name="reserve", compensation="release", retry=_ONCE),
        StepDefinition(name="invoice", compensation="void", retry=_ONCE),
        StepDefinition(name="pay", pivot=True, retry=_ONCE),
        StepDefinition(name="ship", retry=_ONCE),
    ),
)
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_LEASE = timedelta(seconds=8)


def _answer(verdict: Verdict) -> tr.Answer:
    return tr.Answer(outcome=Outcome(verdict=verdict, error="why"))


_CLAIM = tr.Claim(owner="worker", lease=_LEASE)
_OK, _NO = _answer(Verdict.SUCCEEDED), _answer(Verdict.REFUSED)
_LOST, _AWAY = _answer(Verdict.IN_DOUBT), _answer(Verdict.NOT_APPLIED)
_BROKEN, _HELD = _answer(Verdict.BROKEN), _answer(Verdict.NOT_SENT)
_EXECUTE, _COMPENSATE, _RETRY = tr.Execute(), tr.Compensate(), tr.Retry()
_EDIT = tr.EditData(data={}, before={})


def _resolve(step: str, applied: bool) -> tr.Resolve:
    return tr.Resolve(step=step, applied=applied, evidence="what the bank says")


_Path = tuple[tr.Trigger, ...]
_FORWARD: _Path = (_EXECUTE, _CLAIM)
_SECOND: _Path = (*_FORWARD, _OK)
_PIVOT: _Path = (*_SECOND, _OK)
_LAST: _Path = (*_PIVOT, _OK)
_COMPENSATING: _Path = (*_SECOND, _NO)

_OPERATIONS: dict[str, tr.Trigger] = {
    "execute": _EXECUTE,
    "compensate": _COMPENSATE,
    "retry": _RETRY,
}
_SITUATIONS: tuple[tuple[str, _Path], ...] = (
    ("pending", ()),
    ("in_progress, forward, no call in flight", (*_SECOND, _HELD)),
    ("in_progress, forward, a call in flight", _FORWARD),
    ("in_progress, compensating", _COMPENSATING),
    ("completed", (*_LAST, _OK)),
    ("failed, forward", (*_PIVOT, _LOST)),
    ("failed, compensating", (*_COMPENSATING, _NO)),
    ("compensated", (*_COMPENSATING, _OK)),
)
_ANSWERS: tuple[tuple[str, _Path, str, tr.Trigger], ...] = (
    ("in_progress, forward", _FORWARD, "an action succeeded, others are left", _OK),
    ("in_progress, forward", _LAST, "the last action succeeded", _OK),
    ("in_progress, forward", _SECOND, "an action before the pivot was refused", _NO),
    ("in_progress, forward", _SECOND, "its retries are exhausted", _LOST),
    ("in_progress, forward", _PIVOT, "the pivot was refused", _NO),
    ("in_progress, forward", _PIVOT, "the pivot was never reached", _AWAY),
    ("in_progress, forward", _PIVOT, "retries exhausted, the pivot in doubt", _LOST),
    ("in_progress, forward", _LAST, "an action after the pivot refused", _NO),
    ("in_progress, forward", _LAST, "its retries are exhausted", _LOST),
    ("in_progress, forward", _FORWARD, "the breaker is open", _HELD),
    ("in_progress, forward", _FORWARD, "the step's own code failed", _BROKEN),
    (
        "in_progress, forward, compensate asked for",
        (*_FORWARD, _COMPENSATE),
        "the call in flight was answered",
        _OK,
    ),
    ("in_progress, compensating", _COMPENSATING, "the last compensation succeeded", _OK),
    ("in_progress, compensating", _COMPENSATING, "a compensation was refused", _NO),
    ("in_progress, compensating", _COMPENSATING, "its retries are exhausted", _LOST),
)
_PAYS = (*_SECOND, _OK, _LOST)
_SENT = (*_LAST, _NO)
_STUCK = (*_COMPENSATING, _NO)
_MENDED: tuple[tuple[str, _Path, str, tr.Trigger], ...] = (
    ("failed, the pivot in doubt", _PAYS, "a person: it was applied", _resolve("pay", True)),
    ("failed, the pivot in doubt", _PAYS, "a person: it was not applied", _resolve("pay", False)),
    ("failed, the pivot in doubt", _PAYS, "a person skips it", tr.Skip(step="pay")),
    ("failed, the pivot in doubt", _PAYS, "a person edits the data", _EDIT),
    ("failed, forward", _SENT, "a person skips the action", tr.Skip(step="ship")),
    ("failed, forward", _SENT, "a person edits the data", _EDIT),
    ("failed, compensating", _STUCK, "a person skips the compensation", tr.Skip(step="reserve")),
    ("failed, compensating", _STUCK, "a person edits the data", _EDIT),
    (
        "in_progress, forward",
        _SECOND,
        "a person skips an action in flight",
        tr.Skip(step="invoice"),
    ),
    ("compensated", (*_COMPENSATING, _OK), "a person edits the data", _EDIT),
)


def rows() -> Iterator[tuple[str, str, str]]:
    """From, on, to: every operation in every situation, then what the answers lead to."""
    for name, path in _SITUATIONS:
        for operation, trigger in _OPERATIONS.items():
            yield name, operation, _after(path, trigger)
    for name, path, on, trigger in (*_ANSWERS, *_MENDED):
        yield name, on, _after(path, trigger)
    late = _NOW + timedelta(minutes=2)
    yield (
        "in_progress, forward",
        "the deadline passed before the pivot",
        _after(_FORWARD, _OK, at=late),
    )
    yield (
        "in_progress, compensating",
        "the deadline passed",
        _after(_COMPENSATING, _HELD, at=late),
    )


def markdown() -> str:
    """The table for ARCHITECTURE.md."""
    lines = ["| from | on | to |", "|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in rows()]
    return "\n".join(lines)


def _after(path: _Path, trigger: tr.Trigger, at: datetime = _NOW) -> str:
    created = SagaCreated(steps=tuple(step.name for step in _DEFINITION.steps))
    state = replay([created])
    for earlier in path:
        state = _reached(state, earlier, _NOW)
    try:
        after = _reached(state, trigger, at)
    except Illegal:
        return "refused (409)"
    return _name(state, after)


def _reached(state: SagaState, trigger: tr.Trigger, at: datetime) -> SagaState:
    """The state after the trigger; the worker that has the lease starts its next call."""
    state = replay(decide(_DEFINITION, state, trigger, at), state)
    if call_to_start(_DEFINITION, state) is None:
        return state
    start = tr.Start(lease=_LEASE, request={})
    return replay(decide(_DEFINITION, state, start, at), state)


def _name(before: SagaState, after: SagaState) -> str:
    name = after.status.value
    if after.status in (SagaStatus.IN_PROGRESS, SagaStatus.FAILED):
        name += f", {after.direction.value}"
    if after.run > before.run:
        name += f", run {after.run}"
    if after.cancel_requested:
        name += "; finishes its call, starts no action, then compensates"
    elif before.direction is Direction.FORWARD and after.waiting:
        name += "; waits, no attempt consumed"
    changed = {step.revision for step in after.steps} - {step.revision for step in before.steps}
    return name + "; its call is built anew under a fresh key" * bool(changed)
