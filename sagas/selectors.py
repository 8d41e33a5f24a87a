"""Reads: what the API, the console and the sweeper ask the tables."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection
from django.db.models import F, Prefetch, Q, QuerySet
from django.db.models.functions import Now

from sagas.models import Saga, SagaEvent, SagaStep

_TRIES = 10
_CLOCKS = 3_600_000
"""Milliseconds by which the clock that an id was made by may differ from the database's."""


def due_saga_ids(limit: int) -> list[UUID]:
    """Sagas that need attention now, the longest overdue first, by the database's clock."""
    due = Saga.objects.filter(due_at__lte=Now()).order_by("due_at")
    return list(due.values_list("id", flat=True)[:limit])


def leases(seconds: float, limit: int) -> list[tuple[UUID, str]]:
    """Sagas whose lease ends within the time, and who has it; the soonest first."""
    now = Now()
    leased = Saga.objects.filter(due_at__gt=now, due_at__lte=now + timedelta(seconds=seconds))
    found = leased.exclude(owner="").order_by("due_at").values_list("id", "owner")
    return list(found[:limit])


def created_between(start: datetime | None, end: datetime | None) -> Q:
    """Sagas created at `start` or later, and before `end`.

    The time in the ids bounds what is read, in the order of the list: no other index is needed.
    """
    found = Q()
    if start is not None:
        found &= Q(created_at__gte=start, pk__gte=_first_id(start, -_CLOCKS))
    if end is not None:
        found &= Q(created_at__lt=end, pk__lt=_first_id(end, _CLOCKS))
    return found


def _first_id(at: datetime, more: int) -> UUID:
    """The least UUIDv7 of so many milliseconds after that time; there are none before 1970."""
    return UUID(int=max(0, int(at.timestamp() * 1000) + more) << 80)


def saga_with_steps(saga_id: UUID) -> Saga:
    """The saga and its steps, both as the same commit left them. Raises Saga.DoesNotExist."""
    steps = Prefetch("steps", SagaStep.objects.annotate(saga_seq=F("saga__seq")))
    for _ in range(_TRIES):
        saga = Saga.objects.prefetch_related(steps).get(pk=saga_id)
        # A commit between the two queries shows: then they are made again.
        if all(vars(step)["saga_seq"] == saga.seq for step in saga.steps.all()):
            break
    return saga


def saga_seq(saga_id: UUID) -> int:
    """The number of the saga's last event: it changes with every commit.

    Raises Saga.DoesNotExist.
    """
    return Saga.objects.values_list("seq", flat=True).get(pk=saga_id)


def saga_events(saga_id: UUID) -> QuerySet[SagaEvent]:
    """The saga's history, in order."""
    return SagaEvent.objects.filter(saga_id=saga_id).order_by("seq")


def latest_start(saga_id: UUID, seq: int) -> SagaEvent | None:
    """The start of the latest attempt up to that event."""
    starts = saga_events(saga_id).filter(kind="attempt_started", seq__lte=seq)
    return starts.only("at", "epoch").last()


def database_now() -> datetime:
    """The database's clock, by which leases and waits are measured."""
    sql = "SELECT clock_timestamp()"
    if connection.vendor == "sqlite":
        sql = "SELECT strftime('%Y-%m-%d %H:%M:%f+00:00', 'now')"
    with connection.cursor() as cursor:
        cursor.execute(sql)
        (now,) = cursor.fetchone()
    return now if isinstance(now, datetime) else datetime.fromisoformat(now)
