"""Loading and saving sagas: the one place that writes their state.

Writers do not lock: each save is a compare-and-set on the number of the last event and on
the epoch. A worker that was paused past its lease finds a newer epoch, a command that lost
a race finds a newer event; either changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import DataError, transaction
from django.db.models.functions import Now

from sagas.domain.codec import encode
from sagas.domain.definition import Definition
from sagas.domain.events import Event, evolve, replay
from sagas.domain.mending import DataEdited
from sagas.domain.rules import next_call
from sagas.domain.state import (
    ENDED,
    CallKind,
    Direction,
    Effect,
    SagaState,
    SagaStatus,
    StepState,
    StepStatus,
)
from sagas.models import Saga, SagaEvent, SagaStep


class Unreadable(Exception):
    """A saga's rows hold no state; says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """A saga as it was read, with the database's time of the read."""

    id: UUID
    type: str
    definition_version: int
    data: dict[str, Any]
    state: SagaState
    steps: tuple[tuple[str, str], ...]
    """Names of the actions and compensations that the saga was created with."""

    trace: str
    started_at: datetime | None
    read_at: datetime
    read_tick: float

    def now(self) -> datetime:
        """The database's clock now, carried on by this machine's monotonic clock."""
        return self.read_at + timedelta(seconds=time.monotonic() - self.read_tick)


def load(saga_id: UUID) -> Loaded:
    """Read a saga. Raises Saga.DoesNotExist or Unreadable."""
    wanted = Saga.objects.annotate(db_now=Now()).prefetch_related("steps")
    try:
        row = wanted.defer("client", "idempotency_key", "request_digest").get(pk=saga_id)
    except (DataError, ValueError) as error:  # a time beyond Python's, JSON that is none
        raise Unreadable(f"its rows cannot be read: {error}") from error
    rows = sorted(row.steps.all(), key=lambda step: step.position)
    return Loaded(
        id=row.id,
        type=row.type,
        definition_version=row.definition_version,
        data=row.data,
        state=saga_state(row, rows),
        steps=tuple((step.name, step.compensation) for step in rows),
        trace=row.trace,
        started_at=row.started_at,
        read_at=row.db_now,
        read_tick=time.monotonic(),
    )


def saga_state(row: Saga, steps: Sequence[SagaStep]) -> SagaState:
    """The state that the rows hold. Raises Unreadable if they hold none."""
    try:
        known = tuple(_step_state(step) for step in steps)
        status, direction = SagaStatus(row.status), Direction(row.direction)
    except ValueError as error:
        raise Unreadable(f"its rows cannot be read: {error}") from error
    return SagaState(
        steps=known,
        status=status,
        direction=direction,
        run=row.run,
        seq=row.seq,
        epoch=row.epoch,
        owner=row.owner,
        due_at=row.due_at,
        deadline=row.deadline,
        cancel_requested=row.cancel_requested,
        crashes=row.crashes,
        reason=row.reason,
        waiting=row.waiting,
    )


def _step_state(row: SagaStep) -> StepState:
    return StepState(
        name=row.name,
        status=StepStatus(row.status),
        effect=Effect(row.effect),
        calling=CallKind(row.calling) if row.calling else None,
        revision=row.revision,
        attempts=row.attempts,
        compensation_attempts=row.compensation_attempts,
        output=row.output,
        request=row.request,
        compensation_request=row.compensation_request,
        error=row.error,
    )


def insert(
    saga: Saga, definition: Definition, events: Sequence[Event], *, actor: str, reason: str
) -> SagaState:
    """Create the saga, its steps and first events, inside the caller's transaction."""
    state = replay(events)
    for name, value in _saga_columns(definition, state, saga.created_at, None).items():
        setattr(saga, name, value)
    saga.save(force_insert=True)
    SagaStep.objects.bulk_create(
        SagaStep(saga=saga, position=position, name=step.name, compensation=step.compensation)
        for position, step in enumerate(definition.steps, start=1)
    )
    append(saga.id, SagaState(), events, saga.created_at, actor, reason)
    return state


def save(
    loaded: Loaded,
    definition: Definition,
    events: Sequence[Event],
    *,
    now: datetime,
    actor: str,
    reason: str = "",
) -> SagaState | None:
    """Write the events and the state they lead to; None when another writer was first."""
    state = replay(events, loaded.state)
    columns = _saga_columns(definition, state, now, loaded)
    for event in events:
        if isinstance(event, DataEdited):
            columns["data"] = event.data
    with transaction.atomic():
        written = Saga.objects.filter(
            pk=loaded.id, seq=loaded.state.seq, epoch=loaded.state.epoch
        ).update(**columns)
        if not written:
            return None
        for before, after in zip(loaded.state.steps, state.steps, strict=True):
            if before != after:
                SagaStep.objects.filter(saga_id=loaded.id, name=after.name).update(
                    **_step_columns(before, after, now)
                )
        append(loaded.id, loaded.state, events, now, actor, reason)
    return state


def append(
    saga_id: UUID,
    state: SagaState,
    events: Sequence[Event],
    now: datetime,
    actor: str,
    reason: str,
) -> None:
    """Write the events that follow the state, inside the caller's transaction."""
    rows = []
    for event in events:
        state = evolve(state, event)
        kind, data = encode(event)
        rows.append(
            SagaEvent(
                saga_id=saga_id,
                seq=state.seq,
                kind=kind,
                step=data.get("step", ""),
                at=now,
                actor=actor,
                reason=reason,
                epoch=state.epoch,
                data=data,
            )
        )
    SagaEvent.objects.bulk_create(rows)


def _saga_columns(
    definition: Definition, state: SagaState, now: datetime, loaded: Loaded | None
) -> dict[str, Any]:
    """The saga's row: its state, and what lists are filtered and shown by."""
    done = state.status in (SagaStatus.COMPLETED, SagaStatus.COMPENSATED)
    call = None if done else next_call(definition, state)
    before = loaded.state.status if loaded else SagaStatus.PENDING
    columns = {
        "status": state.status.value,
        "direction": state.direction.value,
        "run": state.run,
        "seq": state.seq,
        "epoch": state.epoch,
        "owner": state.owner,
        "due_at": state.due_at,
        "deadline": state.deadline,
        "cancel_requested": state.cancel_requested,
        "crashes": state.crashes,
        "reason": state.reason,
        "waiting": state.waiting,
        "in_doubt": state.in_doubt,
        "current_step": call.step if call else "",
        "updated_at": now,
    }
    if before is not state.status and state.status is SagaStatus.IN_PROGRESS:
        columns |= {"started_at": now, "ended_at": None}
    elif before is not state.status and state.status in ENDED:
        columns["ended_at"] = now
    return columns


def _step_columns(before: StepState, after: StepState, now: datetime) -> dict[str, Any]:
    """What changed of a step's row."""
    columns: dict[str, Any] = {}
    for name in (
        "revision",
        "attempts",
        "compensation_attempts",
        "output",
        "request",
        "compensation_request",
        "error",
    ):
        if getattr(before, name) != getattr(after, name):
            columns[name] = getattr(after, name)
    if before.calling is not after.calling:
        columns["calling"] = after.calling.value if after.calling else ""
    if before.effect is not after.effect:
        columns["effect"] = after.effect.value
    if before.status is not after.status:
        columns["status"] = after.status.value
        ended = after.status in (
            StepStatus.COMPLETED,
            StepStatus.FAILED,
            StepStatus.COMPENSATED,
        )
        columns["ended_at"] = now if ended else None
        if before.status is StepStatus.PENDING:
            columns["started_at"] = now
        elif after.status is StepStatus.PENDING:
            columns["started_at"] = None
    return columns
