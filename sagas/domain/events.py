"""The facts of a saga's history, and what each changes; those of its calls are in `attempts`.

Events are appended, never changed; replaying a saga's events gives its state:
`reduce(evolve, events, SagaState())`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce

from sagas.domain.state import Direction, SagaState, SagaStatus, StepState, StepStatus


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One fact. Subclasses say what happened and apply it to a state."""

    def apply(self, state: SagaState) -> SagaState:
        """The state after this event; the event's number is counted by `evolve`."""
        raise NotImplementedError


def released(state: SagaState, due_at: datetime | None) -> SagaState:
    """The state once its driver has given up the lease."""
    return replace(state, owner="", due_at=due_at, crashes=0, waiting="")


@dataclass(frozen=True, kw_only=True, slots=True)
class SagaCreated(Event):
    """The saga exists and waits for its execute."""

    steps: tuple[str, ...]
    saga_type: str | None = None
    version: int | None = None
    """The definition that it keeps; not in the oldest histories."""

    def apply(self, state: SagaState) -> SagaState:
        return replace(state, steps=tuple(StepState(name=name) for name in self.steps))


@dataclass(frozen=True, kw_only=True, slots=True)
class ExecuteRequested(Event):
    """Somebody asked to execute a pending saga."""

    due_at: datetime
    deadline: datetime | None

    def apply(self, state: SagaState) -> SagaState:
        return replace(
            state, status=SagaStatus.IN_PROGRESS, due_at=self.due_at, deadline=self.deadline
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryRequested(Event):
    """Somebody asked to try a stopped saga again."""

    due_at: datetime
    deadline: datetime | None
    run: int
    """The same run for a failed saga; the next one, with fresh keys, for a compensated one."""

    def apply(self, state: SagaState) -> SagaState:
        if self.run > state.run:
            steps = tuple(StepState(name=step.name) for step in state.steps)
            direction = Direction.FORWARD
        else:
            steps = tuple(
                replace(step, attempts=0)
                if state.direction is Direction.FORWARD
                else replace(step, compensation_attempts=0)
                for step in state.steps
            )
            direction = state.direction
        return replace(
            state,
            steps=steps,
            status=SagaStatus.IN_PROGRESS,
            direction=direction,
            run=self.run,
            due_at=self.due_at,
            deadline=self.deadline,
            crashes=0,
            reason="",
            waiting="",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class CompensateRequested(Event):
    """Somebody asked to compensate; with a call in flight this waits for its answer."""

    due_at: datetime
    reason: str = ""

    def apply(self, state: SagaState) -> SagaState:
        state = replace(state, reason=self.reason or state.reason)
        if state.calling:
            return replace(state, cancel_requested=True)
        return replace(state, due_at=self.due_at, crashes=0, waiting="")


def _given_up(step: StepState) -> StepState:
    """The step when the saga turns round: an action that waited for a retry gets none."""
    status = step.status
    if status is StepStatus.IN_PROGRESS:
        status = StepStatus.FAILED if step.error else StepStatus.PENDING
    return replace(step, status=status, compensation_attempts=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class CompensationTriggered(Event):
    """The saga turns round: from here on no action is started."""

    reason: str

    def apply(self, state: SagaState) -> SagaState:
        return replace(
            state,
            status=SagaStatus.IN_PROGRESS,
            direction=Direction.COMPENSATING,
            steps=tuple(_given_up(step) for step in state.steps),
            cancel_requested=False,
            reason=self.reason,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Claimed(Event):
    """A worker took the lease; the epoch grows, so that the one before it is fenced off."""

    owner: str
    until: datetime

    def apply(self, state: SagaState) -> SagaState:
        return replace(
            state,
            epoch=state.epoch + 1,
            owner=self.owner,
            due_at=self.until,
            crashes=state.crashes + 1,
            waiting="",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class HandedBack(Event):
    """A worker that is stopping gave the lease up; another may go on at `due_at`."""

    due_at: datetime

    def apply(self, state: SagaState) -> SagaState:
        return released(state, self.due_at)


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerLost(Event):
    """The worker that had the lease is known to be gone: it ends now, and not in its time."""

    owner: str
    due_at: datetime

    def apply(self, state: SagaState) -> SagaState:
        # Its call stays in flight, and its claim counts as one that recorded nothing.
        return replace(state, owner="", due_at=self.due_at)


@dataclass(frozen=True, kw_only=True, slots=True)
class Parked(Event):
    """No code here can drive the saga now; it is looked at again at `due_at`."""

    reason: str
    due_at: datetime

    def apply(self, state: SagaState) -> SagaState:
        # The claim that parks it is no crash, and does not make good those before it either.
        crashes = max(state.crashes - 1, 0)
        return replace(released(state, self.due_at), waiting=self.reason, crashes=crashes)


@dataclass(frozen=True, kw_only=True, slots=True)
class SagaCompleted(Event):
    """Every action succeeded."""

    def apply(self, state: SagaState) -> SagaState:
        return replace(released(state, None), status=SagaStatus.COMPLETED, reason="")


@dataclass(frozen=True, kw_only=True, slots=True)
class SagaCompensated(Event):
    """Every effect is taken back, or there was none."""

    def apply(self, state: SagaState) -> SagaState:
        return replace(
            released(state, None),
            status=SagaStatus.COMPENSATED,
            direction=Direction.COMPENSATING,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class SagaFailed(Event):
    """The saga stopped; a person must decide."""

    reason: str

    def apply(self, state: SagaState) -> SagaState:
        return replace(
            released(state, None),
            status=SagaStatus.FAILED,
            steps=tuple(_stopped(step) for step in state.steps),
            cancel_requested=False,
            reason=self.reason,
        )


def _stopped(step: StepState) -> StepState:
    """The step of a saga that stops: what waited for another attempt gets none."""
    waited = step.status is StepStatus.IN_PROGRESS
    return replace(step, status=StepStatus.FAILED) if waited else step


def evolve(state: SagaState, event: Event) -> SagaState:
    """The state after the event."""
    return replace(event.apply(state), seq=state.seq + 1)


def replay(events: Iterable[Event], state: SagaState | None = None) -> SagaState:
    """The state after all the events, from nothing or from `state`."""
    return reduce(evolve, events, state or SagaState())
