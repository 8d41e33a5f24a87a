"""The facts about what people found out or saw to by hand, and what each changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sagas.domain.events import Event
from sagas.domain.state import (
    CallKind,
    Direction,
    Effect,
    Json,
    SagaState,
    SagaStatus,
    StepState,
    StepStatus,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class DoubtResolved(Event):
    """Somebody found out what became of an action in doubt."""

    step: str
    applied: bool
    evidence: str
    output: Json | None = None
    due_at: datetime | None = None
    """When a saga in progress goes on."""

    def apply(self, state: SagaState) -> SagaState:
        step = state.step(self.step)
        forward = state.direction is Direction.FORWARD
        status = step.status
        if forward and self.applied:
            status = StepStatus.COMPLETED
        elif not forward and not self.applied and status is StepStatus.IN_PROGRESS:
            status = StepStatus.FAILED  # its compensation, which waits, is not needed
        state = state.with_step(
            self.step,
            status=status,
            effect=Effect.APPLIED if self.applied else Effect.NONE,
            output=step.output if self.output is None else self.output,
            error="" if self.applied else step.error,
        )
        return _goes_on(state, self.due_at)


@dataclass(frozen=True, kw_only=True, slots=True)
class StepSkipped(Event):
    """Somebody saw to the action or the compensation by hand, or found that it is not needed."""

    step: str
    call: CallKind
    output: Json | None = None
    due_at: datetime | None = None
    """When a saga in progress goes on."""

    def apply(self, state: SagaState) -> SagaState:
        action = self.call is CallKind.ACTION
        step = state.step(self.step)
        state = state.with_step(
            self.step,
            status=StepStatus.COMPLETED if action else StepStatus.COMPENSATED,
            effect=Effect.NONE,
            output=step.output if self.output is None else self.output,
            error="",
        )
        return _goes_on(state, self.due_at)


@dataclass(frozen=True, kw_only=True, slots=True)
class DataEdited(Event):
    """The saga's data was changed: calls that are yet to be built see the new data."""

    data: Json
    before: Json

    def apply(self, state: SagaState) -> SagaState:
        forward = state.direction is Direction.FORWARD
        return replace(
            state, steps=tuple(_to_be_rebuilt(step) if forward else step for step in state.steps)
        )


def _to_be_rebuilt(step: StepState) -> StepState:
    """A call that had no effect is dropped: the next one differs, so it needs a key of its own."""
    if step.request is None or step.status is StepStatus.COMPLETED:
        return step
    return replace(step, request=None, revision=step.revision + 1)


def _goes_on(state: SagaState, due_at: datetime | None) -> SagaState:
    if state.status is not SagaStatus.IN_PROGRESS:
        return state
    return replace(state, due_at=due_at, waiting="", crashes=0)
