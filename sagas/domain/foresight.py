"""What will be called if all goes well: the core itself, asked ahead of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sagas.domain import triggers as tr
from sagas.domain.decide import decide
from sagas.domain.definition import Definition
from sagas.domain.events import replay
from sagas.domain.outcome import Outcome, Verdict
from sagas.domain.rules import call_to_start
from sagas.domain.state import CallKind, Json, SagaState, SagaStatus

_LEASE = timedelta(days=1)
_SUCCESS = tr.Answer(outcome=Outcome(verdict=Verdict.SUCCEEDED))


@dataclass(frozen=True, kw_only=True, slots=True)
class Ahead:
    """A call to come, if those before it succeed."""

    step: str
    kind: CallKind
    run: int
    revision: int
    attempt: int
    in_flight: bool
    """Whether it is being made already."""

    request: Json | None
    """What will be sent, where an earlier attempt recorded it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """The calls to come, in order, and how the saga then ends."""

    after: SagaState
    """The saga as the triggers leave it."""

    calls: tuple[Ahead, ...]
    ends: SagaStatus


def foresee(
    definition: Definition, state: SagaState, triggers: Sequence[tr.Trigger], now: datetime
) -> Course:
    """What follows the triggers. Raises Illegal if one of them is not allowed."""
    for trigger in triggers:
        state = replay(decide(definition, state, trigger, now), state)
    after = state
    calls: list[Ahead] = []
    while state.status is SagaStatus.IN_PROGRESS:
        # As if a worker had it: a claim would take a call that is in flight for lost.
        state = replace(state, owner=state.owner or "-", due_at=now + _LEASE)
        step = state.calling
        if step is not None and step.calling is not None:
            kind, started = step.calling, not calls and after.calling is not None
            calls.append(
                Ahead(
                    step=step.name,
                    kind=kind,
                    run=state.run,
                    revision=step.revision,
                    attempt=step.attempts_of(kind),
                    in_flight=started,
                    request=step.request_of(kind),
                )
            )
            next_: tr.Trigger = _SUCCESS
        elif call_to_start(definition, state) is not None:
            next_ = tr.Start(lease=_LEASE, request=None)
        else:
            next_ = tr.Claim(owner="-", lease=_LEASE)  # nothing is left to call: it ends
            state = replace(state, due_at=now)
        state = replay(decide(definition, state, next_, now), state)
    return Course(after=after, calls=tuple(calls), ends=state.status)
