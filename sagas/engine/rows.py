"""The rows that one transition reads or writes, by Django's ORM: for every database it knows.

PostgreSQL, where sagas are many, gets each of these as one prepared statement (`statements.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Now

from sagas.engine import statements
from sagas.models import Saga, SagaEvent, SagaStep

Columns = Mapping[str, Any]


class EventRow(NamedTuple):
    """What is an event's own."""

    seq: int
    kind: str
    step: str
    epoch: int
    actor: str
    reason: str
    data: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What a transition writes: columns that change, by name, and events that follow."""

    saga_id: UUID
    seq: int
    epoch: int
    """Number of the last event, and the epoch, that the writer has seen."""

    saga: Columns
    steps: Sequence[tuple[int, Columns]]
    """By position, from 1."""

    events: Sequence[EventRow]
    at: datetime


def write(change: Change) -> bool:
    """Write the change in one transaction; False, and nothing, when another writer was first."""
    if connection.vendor == "postgresql":
        return statements.write(change)
    with transaction.atomic():
        wanted = Saga.objects.filter(pk=change.saga_id, seq=change.seq, epoch=change.epoch)
        if not wanted.update(**change.saga):
            return False
        for position, columns in change.steps:
            step = SagaStep.objects.filter(saga_id=change.saga_id, position=position)
            step.update(**columns)
        _append(change)
    return True


def create(given: Columns, change: Change) -> None:
    """Insert the saga, with what its creator gave, its steps and first events, in one transaction.

    Raises IntegrityError.
    """
    if connection.vendor == "postgresql":
        statements.create(given, change)
        return
    with transaction.atomic():
        Saga(**given, **change.saga).save(force_insert=True)
        SagaStep.objects.bulk_create(
            SagaStep(saga_id=change.saga_id, position=position, **columns)
            for position, columns in change.steps
        )
        _append(change)


def _append(change: Change) -> None:
    SagaEvent.objects.bulk_create(
        SagaEvent(
            saga_id=change.saga_id,
            at=change.at,
            **event._asdict(),
        )
        for event in change.events
    )


def read(saga_id: UUID) -> tuple[Any, list[Any], datetime]:
    """The saga's row, those of its steps in order, and the database's time.

    Raises Saga.DoesNotExist; DataError or ValueError where a row holds what nobody can read.
    """
    if connection.vendor == "postgresql":
        return statements.read(saga_id)
    wanted = Saga.objects.annotate(db_now=Now()).prefetch_related("steps")
    row = wanted.defer("client", "idempotency_key", "request_digest").get(pk=saga_id)
    return row, sorted(row.steps.all(), key=lambda step: step.position), row.db_now
