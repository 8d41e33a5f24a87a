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

from django.db import DataError

from sagas.domain.codec import encode
from sagas.domain.definition import Definition
from sagas.domain.events import Claimed, Event
from sagas.domain.mending import DataEdited
from sagas.domain.state import (
    CallKind,
    Direction,
    Effect,
    SagaState,
    SagaStatus,
    StepState,
    StepStatus,
)
from sagas.engine import rows
from sagas.engine.columns import saga_columns, step_columns
from sagas.engine.rows import Change, EventRow
from sagas.engine.statements import SagaRow, StepRow
from sagas.models import Saga, SagaStep

_GIVEN = (
    "id",
    "type",
    "definition_version",
    "data",
    "client",
    "idempotency_key",
    "request_digest",
    "trace",
    "created_at",
)
"""The columns that a saga's creator fills."""


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
    try:
        row, steps, now = rows.read(saga_id)
    except (DataError, ValueError) as error:  # a time beyond Python's, JSON that is none
        raise Unreadable(f"its rows cannot be read: {error}") from error
    return Loaded(
        id=row.id,
        type=row.type,
        definition_version=row.definition_version,
        data=row.data,
        state=saga_state(row, steps),
        steps=tuple((step.name, step.compensation) for step in steps),
        trace=row.trace,
        started_at=row.started_at,
        read_at=now,
        read_tick=time.monotonic(),
    )


def saga_state(row: Saga | SagaRow, steps: Sequence[SagaStep | StepRow]) -> SagaState:
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


def _step_state(row: SagaStep | StepRow) -> StepState:
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


def fresh(saga: Saga, definition: Definition) -> Loaded:
    """A saga that is yet to be inserted, by the time of its creation, which is now."""
    return Loaded(
        id=saga.id,
        type=saga.type,
        definition_version=saga.definition_version,
        data=saga.data,
        state=SagaState(),
        steps=tuple((step.name, step.compensation) for step in definition.steps),
        trace=saga.trace,
        started_at=None,
        read_at=saga.created_at,
        read_tick=time.monotonic(),
    )


def insert(
    saga: Saga,
    definition: Definition,
    events: Sequence[Event],
    after: SagaState,
    now: datetime,
    *,
    actor: str,
    reason: str,
) -> None:
    """Create the saga, its steps and first events, which lead to the state after them.

    Raises IntegrityError.
    """
    change = Change(
        saga_id=saga.id,
        seq=0,
        epoch=0,
        saga=saga_columns(definition, None, after, now),
        steps=[
            (
                position,
                {
                    "name": row.name,
                    "compensation": step.compensation,
                    **step_columns(StepState(name=row.name), row, now),
                },
            )
            for position, (step, row) in enumerate(
                zip(definition.steps, after.steps, strict=True), start=1
            )
        ],
        events=recorded(SagaState(), events, actor, reason),
        at=now,
    )
    rows.create({name: getattr(saga, name) for name in _GIVEN}, change)
    for name, value in change.saga.items():
        setattr(saga, name, value)
    saga._state.adding = False


def save(
    loaded: Loaded,
    definition: Definition,
    events: Sequence[Event],
    after: SagaState,
    *,
    now: datetime,
    actor: str,
    reason: str = "",
) -> bool:
    """Write the events and the state they lead to; False when another writer was first."""
    before = loaded.state
    columns = saga_columns(definition, before, after, now)
    for event in events:
        if isinstance(event, DataEdited):
            columns["data"] = event.data
    change = Change(
        saga_id=loaded.id,
        seq=before.seq,
        epoch=before.epoch,
        saga=columns,
        steps=[
            (position, step_columns(old, new, now))
            for position, (old, new) in enumerate(
                zip(before.steps, after.steps, strict=True), start=1
            )
            if old is not new and old != new
        ],
        events=recorded(before, events, actor, reason),
        at=now,
    )
    return rows.write(change)


def recorded(state: SagaState, events: Sequence[Event], actor: str, reason: str) -> list[EventRow]:
    """The rows of events that follow the state. From a claim on they are the claimant's."""
    found, epoch = [], state.epoch
    for seq, event in enumerate(events, start=state.seq + 1):
        if isinstance(event, Claimed):
            epoch += 1
            if event.owner and event.owner != actor:
                actor, reason = event.owner, ""
        kind, data = encode(event)
        found.append(EventRow(seq, kind, data.get("step", ""), epoch, actor, reason, data))
    return found
