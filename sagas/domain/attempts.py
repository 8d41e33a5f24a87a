"""The facts about single attempts of a step's action or compensation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sagas.domain.events import Event, released
from sagas.domain.state import CallKind, Effect, Json, SagaState, StepStatus

_COUNTER = {CallKind.ACTION: "attempts", CallKind.COMPENSATION: "compensation_attempts"}
_REQUEST = {CallKind.ACTION: "request", CallKind.COMPENSATION: "compensation_request"}


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptEvent(Event):
    """Something that happened to one attempt of a step's action or compensation."""

    step: str
    call: CallKind
    attempt: int


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptStarted(AttemptEvent):
    """The call may be sent from now on, and never before this is recorded."""

    until: datetime
    """The lease was extended to here."""

    request: Json | None = None
    """What is sent; only with the first attempt of a call, as it never changes."""

    def apply(self, state: SagaState) -> SagaState:
        changes: dict[str, Any] = {_COUNTER[self.call]: self.attempt}
        if self.request is not None:
            changes[_REQUEST[self.call]] = self.request
        state = state.with_step(
            self.step, status=StepStatus.IN_PROGRESS, calling=self.call, **changes
        )
        return state if state.due_at == self.until else replace(state, due_at=self.until)


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptAnswered(AttemptEvent):
    """What is known of an attempt after the call: common to the answers below."""

    request: Json | None = None
    """What was sent, in histories from before it was recorded with the start."""

    answer: Json | None = None
    duration_ms: float = 0.0

    def answered(self, state: SagaState, *, error: str = "", **changes: Any) -> SagaState:
        """The state with the call no longer in flight, and what else changes of its step."""
        if self.request is not None:
            changes[_REQUEST[self.call]] = self.request
        state = state.with_step(self.step, calling=None, error=error, **changes)
        return replace(state, crashes=0) if state.crashes else state


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptSucceeded(AttemptAnswered):
    """The participant applied the call."""

    output: Json | None = None

    def apply(self, state: SagaState) -> SagaState:
        if self.call is CallKind.ACTION:
            return self.answered(
                state,
                status=StepStatus.COMPLETED,
                effect=Effect.APPLIED,
                output=self.output,
            )
        return self.answered(state, status=StepStatus.COMPENSATED, effect=Effect.NONE)


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptRefused(AttemptAnswered):
    """The participant said no. What earlier attempts did stays as unknown as it was."""

    error: str

    def apply(self, state: SagaState) -> SagaState:
        return self.answered(state, error=self.error, status=StepStatus.FAILED)


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptFailed(AttemptAnswered):
    """No usable answer. With `retry_at` the lease is given up until then; without, it is over."""

    error: str
    in_doubt: bool
    retry_at: datetime | None

    def apply(self, state: SagaState) -> SagaState:
        state = self.answered(state, error=self.error)
        if self.in_doubt:
            state = _doubtful(state, self.step, self.call)
        if self.retry_at is None:
            return state.with_step(self.step, status=StepStatus.FAILED)
        return released(state, self.retry_at)


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptInterrupted(AttemptEvent):
    """The worker vanished before it recorded an answer, so the call is in doubt."""

    error: str
    final: bool
    """Whether this was the last attempt."""

    def apply(self, state: SagaState) -> SagaState:
        state = _doubtful(state, self.step, self.call)
        status = StepStatus.FAILED if self.final else StepStatus.IN_PROGRESS
        return state.with_step(self.step, calling=None, error=self.error, status=status)


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptHeld(AttemptEvent):
    """The breaker kept the call from being sent: the attempt does not count."""

    reason: str
    due_at: datetime

    def apply(self, state: SagaState) -> SagaState:
        counted = {_COUNTER[self.call]: self.attempt - 1}
        state = state.with_step(self.step, calling=None, **counted)
        return replace(released(state, self.due_at), waiting=self.reason)


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptBroken(AttemptEvent):
    """The step's own code failed before anything was sent."""

    error: str

    def apply(self, state: SagaState) -> SagaState:
        state = state.with_step(self.step, calling=None, status=StepStatus.FAILED, error=self.error)
        return replace(state, crashes=0)


def _doubtful(state: SagaState, step: str, call: CallKind) -> SagaState:
    """A lost action may have been applied; a lost compensation leaves the effect to take back."""
    if call is CallKind.ACTION and state.step(step).effect is Effect.NONE:
        return state.with_step(step, effect=Effect.IN_DOUBT)
    return state
