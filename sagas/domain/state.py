"""Where a saga stands: its state and that of its steps, as frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

Json = Mapping[str, Any]


class SagaStatus(StrEnum):
    """The status of a saga."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"  # stopped: a person must decide; it always carries a reason
    COMPENSATED = "compensated"


ENDED = frozenset({SagaStatus.COMPLETED, SagaStatus.FAILED, SagaStatus.COMPENSATED})
"""The statuses in which a saga goes on only when somebody asks for it."""


class StepStatus(StrEnum):
    """The status of a step."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    COMPENSATED = "compensated"


class Direction(StrEnum):
    """Which way a saga is going."""

    FORWARD = "forward"
    COMPENSATING = "compensating"


class Effect(StrEnum):
    """What is known of an action's effect at the participant in the current run."""

    NONE = "none"
    IN_DOUBT = "in_doubt"
    APPLIED = "applied"


class CallKind(StrEnum):
    """Which of a step's two calls."""

    ACTION = "action"
    COMPENSATION = "compensation"


class Operation(StrEnum):
    """What a client or an operator may ask of a saga."""

    EXECUTE = "execute"
    COMPENSATE = "compensate"
    RETRY = "retry"


@dataclass(frozen=True, kw_only=True, slots=True)
class StepState:
    """The state of one step in the current run."""

    name: str
    status: StepStatus = StepStatus.PENDING
    effect: Effect = Effect.NONE
    calling: CallKind | None = None
    """The call that was started and whose answer is not recorded yet."""

    revision: int = 0
    """How often its call was dropped to be built anew, under fresh keys, after an edit of data."""

    attempts: int = 0
    """Attempts of the action in this round (a person's retry starts a new round)."""

    compensation_attempts: int = 0
    """Attempts of the compensation in this round."""

    output: Json | None = None
    """The validated answer of the action."""

    request: Json | None = None
    """The action's call as it was sent first, and is sent again byte for byte."""

    compensation_request: Json | None = None
    """The compensation's call, likewise."""

    error: str = ""
    """Why the last attempt did not succeed; empty after a success."""

    def attempts_of(self, kind: CallKind) -> int:
        """Attempts in this round of that kind of call."""
        return self.attempts if kind is CallKind.ACTION else self.compensation_attempts

    def request_of(self, kind: CallKind) -> Json | None:
        """The call of that kind as it was sent first in this run, once that is known."""
        return self.request if kind is CallKind.ACTION else self.compensation_request


@dataclass(frozen=True, kw_only=True, slots=True)
class SagaState:
    """The state of a saga: what replaying its events gives."""

    steps: tuple[StepState, ...] = ()
    status: SagaStatus = SagaStatus.PENDING
    direction: Direction = Direction.FORWARD
    run: int = 1
    seq: int = 0
    """Number of the last event; a writer that has not seen it loses."""

    epoch: int = 0
    """Fencing token: grows with each claim; a writer with an older one changes nothing."""

    owner: str = ""
    """The worker that drives the saga now; empty when none does."""

    due_at: datetime | None = None
    """When the saga needs attention next: now, after a wait, or when its lease ends."""

    deadline: datetime | None = None
    """Going forward stops here; a compensation never does."""

    cancel_requested: bool = False
    """Compensate was asked for while a call was in flight: it is finished first."""

    crashes: int = 0
    """Claims in a row whose worker vanished before it recorded anything."""

    reason: str = ""
    """Why the saga compensates or failed."""

    waiting: str = ""
    """Why nobody can drive it now, other than the wait before a retry."""

    def step(self, name: str) -> StepState:
        """The step of that name. Raises KeyError."""
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(name)

    def with_step(self, name: str, **changes: Any) -> SagaState:
        """A copy in which that step is changed. Raises KeyError."""
        changed = replace(self.step(name), **changes)
        return replace(self, steps=tuple(changed if s.name == name else s for s in self.steps))

    @property
    def calling(self) -> StepState | None:
        """The step whose call is in flight, if any."""
        return next((step for step in self.steps if step.calling is not None), None)

    @property
    def at_rest(self) -> bool:
        """Whether no call is in flight and no worker has the lease: people may mend it."""
        return self.calling is None and not self.owner

    @property
    def in_doubt(self) -> bool:
        """Whether some action may or may not have taken effect."""
        return any(step.effect is Effect.IN_DOUBT for step in self.steps)


def idempotency_key(saga_id: object, run: int, name: str, kind: CallKind, revision: int = 0) -> str:
    """The one key of all attempts of a call; `name` is the step's, whatever the kind."""
    key = f"{saga_id}:{run}:{name}:{kind.value}"
    return f"{key}:{revision}" if revision else key
