"""What is allowed and what comes next, read from a state and its definition."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sagas.domain import events as ev
from sagas.domain.definition import Definition
from sagas.domain.state import (
    CallKind,
    Direction,
    Effect,
    Operation,
    SagaState,
    SagaStatus,
    StepStatus,
)


class Illegal(Exception):
    """The trigger is not allowed in the saga's present state."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """The action or compensation that comes next."""

    step: str
    kind: CallKind
    attempt: int


def allowed_operations(definition: Definition, state: SagaState) -> frozenset[Operation]:
    """The operations that a person may ask for now."""
    match state.status:
        case SagaStatus.PENDING:
            return frozenset({Operation.EXECUTE, Operation.COMPENSATE})
        case SagaStatus.IN_PROGRESS:
            turned = state.direction is Direction.COMPENSATING or state.cancel_requested
            return frozenset() if turned else frozenset({Operation.COMPENSATE})
        case SagaStatus.COMPLETED:
            return frozenset({Operation.COMPENSATE})
        case SagaStatus.FAILED:
            return frozenset({Operation.RETRY, Operation.COMPENSATE})
        case SagaStatus.COMPENSATED:
            stands = _pivot_stands(definition, state)
            return frozenset() if stands else frozenset({Operation.RETRY})


def _pivot_stands(definition: Definition, state: SagaState) -> bool:
    """Whether the pivot took effect, or may have, and was not taken back; or a person saw to it.

    A new run would then have its effect, such as a payment, a second time.
    """
    if definition.pivot is None:
        return False
    pivot = state.step(definition.pivot)
    return pivot.effect is not Effect.NONE or pivot.status is StepStatus.COMPLETED


def next_call(definition: Definition, state: SagaState) -> Call | None:
    """What is to be called next in the saga's direction; None when nothing is left."""
    kind = CallKind.ACTION if state.direction is Direction.FORWARD else CallKind.COMPENSATION
    if kind is CallKind.ACTION:
        open_steps = (
            step.name
            for step in definition.forward()
            if state.step(step.name).status is not StepStatus.COMPLETED
        )
    else:
        open_steps = (
            step.name
            for step in definition.backward()
            if state.step(step.name).effect is not Effect.NONE
        )
    name = next(open_steps, None)
    if name is None:
        return None
    return Call(step=name, kind=kind, attempt=state.step(name).attempts_of(kind) + 1)


def call_to_start(definition: Definition, state: SagaState) -> Call | None:
    """The call that the holder of the lease is to start now; None when there is none."""
    leased = state.status is SagaStatus.IN_PROGRESS and state.owner
    return next_call(definition, state) if leased and state.calling is None else None


def doubts_to_resolve(state: SagaState) -> tuple[str, ...]:
    """The steps of which a person may say now whether they took effect."""
    if not state.at_rest:
        return ()
    return tuple(step.name for step in state.steps if step.effect is Effect.IN_DOUBT)


def call_to_skip(definition: Definition, state: SagaState) -> Call | None:
    """The call at which the saga is stuck, if a person may skip it now."""
    call = next_call(definition, state)
    if call is None or not state.at_rest:
        return None
    step = state.step(call.step)
    if call.kind is CallKind.ACTION and step.effect is Effect.IN_DOUBT:
        return None  # whether it took effect comes first
    stuck = state.status is SagaStatus.IN_PROGRESS and (call.attempt > 1 or state.waiting)
    return call if stuck or state.status is SagaStatus.FAILED else None


def may_edit(state: SagaState) -> bool:
    """Whether a person may change the saga's data now."""
    if state.status is SagaStatus.FAILED and state.direction is Direction.FORWARD:
        return not state.in_doubt  # a call in doubt is repeated as it was
    return state.status in (SagaStatus.FAILED, SagaStatus.COMPENSATED)


class Decision:
    """A decision in the making: the state as the events recorded so far leave it."""

    def __init__(self, definition: Definition, state: SagaState, now: datetime) -> None:
        self.definition = definition
        self.state = state
        self.now = now

    def record(self, event: ev.Event) -> ev.Event:
        self.state = ev.evolve(self.state, event)
        return event

    def require(self, operation: Operation) -> None:
        if operation not in allowed_operations(self.definition, self.state):
            raise Illegal(f"a saga that is {self.state.status.value} cannot {operation.value}")

    def deadline(self) -> datetime | None:
        limit = self.definition.deadline
        return None if limit is None else self.now + limit

    @property
    def at_once(self) -> datetime | None:
        """When a saga that people mended goes on: now, if it is in progress."""
        return self.now if self.state.status is SagaStatus.IN_PROGRESS else None

    @property
    def must_turn(self) -> bool:
        """Whether the deadline has passed while the saga may still be compensated."""
        return self.turning_point is not None and self.now >= self.turning_point

    @property
    def turning_point(self) -> datetime | None:
        """The deadline, while it still can turn the saga round."""
        if self.state.direction is not Direction.FORWARD:
            return None
        if _pivot_stands(self.definition, self.state):
            return None
        return self.state.deadline

    def wake_at(self, wait: timedelta) -> datetime:
        """The end of a wait, or the deadline when that comes first and would turn the saga."""
        at = self.now + wait
        return at if self.turning_point is None else min(at, self.turning_point)
