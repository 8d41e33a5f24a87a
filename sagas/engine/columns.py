"""What a transition changes of a saga's rows: its state, and what lists are filtered by."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sagas.domain.definition import Definition
from sagas.domain.rules import next_call
from sagas.domain.state import ENDED, SagaState, SagaStatus, StepState, StepStatus

_STATE = (
    "run",
    "seq",
    "epoch",
    "owner",
    "due_at",
    "deadline",
    "cancel_requested",
    "crashes",
    "reason",
    "waiting",
    "in_doubt",
)
_STEP = (
    "revision",
    "attempts",
    "compensation_attempts",
    "output",
    "request",
    "compensation_request",
    "error",
)
_DONE = (SagaStatus.COMPLETED, SagaStatus.COMPENSATED)
_STEP_ENDED = (StepStatus.COMPLETED, StepStatus.FAILED, StepStatus.COMPENSATED)


def saga_columns(
    definition: Definition, before: SagaState | None, after: SagaState, now: datetime
) -> dict[str, Any]:
    """The columns of the saga's row that change; all of them where there was none before."""
    columns: dict[str, Any] = {"updated_at": now}
    for name in _STATE:
        value = getattr(after, name)
        if before is None or getattr(before, name) != value:
            columns[name] = value
    if before is None or before.direction is not after.direction:
        columns["direction"] = after.direction.value
    if before is None or before.status is not after.status:
        columns["status"] = after.status.value
    was = SagaStatus.PENDING if before is None else before.status
    if was is not after.status and after.status is SagaStatus.IN_PROGRESS:
        columns |= {"started_at": now, "ended_at": None}
    elif was is not after.status and after.status in ENDED:
        columns["ended_at"] = now
        if before is None:  # its first call could not be built
            columns["started_at"] = now
    call = None if after.status in _DONE else next_call(definition, after)
    columns["current_step"] = call.step if call else ""
    return columns


def step_columns(before: StepState, after: StepState, now: datetime) -> dict[str, Any]:
    """The columns of the step's row that change."""
    columns: dict[str, Any] = {}
    for name in _STEP:
        value = getattr(after, name)
        if getattr(before, name) != value:
            columns[name] = value
    if before.calling is not after.calling:
        columns["calling"] = after.calling.value if after.calling else ""
    if before.effect is not after.effect:
        columns["effect"] = after.effect.value
    if before.status is not after.status:
        columns["status"] = after.status.value
        columns["ended_at"] = now if after.status in _STEP_ENDED else None
        if before.status is StepStatus.PENDING:
            columns["started_at"] = now
        elif after.status is StepStatus.PENDING:
            columns["started_at"] = None
    return columns
