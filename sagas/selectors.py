"""Reads: what the API, the console and the sweeper ask the tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import DataError, connection
from django.db.models import DateTimeField, ForeignKey, Model, Q, QuerySet, UUIDField
from django.db.models.functions import Now

from sagas.models import Saga, SagaEvent, SagaStep
from sagas.prepared import Prepared, fetched

_TRIES = 10
_CLOCKS = 3_600_000
"""Milliseconds by which the clock that an id was made by may differ from the database's."""


def due_sagas(limit: int) -> dict[UUID, datetime]:
    """Sagas that need attention now, and since when; the longest overdue first.

    By the database's clock.
    """
    due = Saga.objects.filter(due_at__lte=Now()).order_by("due_at")
    return {saga_id: at for saga_id, at in due.values_list("id", "due_at")[:limit] if at}


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
    """The saga and its steps, as one commit left them: one query. Raises Saga.DoesNotExist."""
    found = (_from_postgresql if connection.vendor == "postgresql" else _by_join)(saga_id)
    if found is None:
        raise Saga.DoesNotExist
    of_saga, of_steps = found
    saga = Saga.from_db(connection.alias, _SAGA, of_saga)
    # What `prefetch_related` leaves behind; it would take another query, or several.
    steps: Any = saga.steps.all()
    steps._result_cache = [SagaStep.from_db(connection.alias, _STEP, row) for row in of_steps]
    for step in steps:
        step.saga = saga
    steps._prefetch_done = True
    vars(saga)["_prefetched_objects_cache"] = {"steps": steps}
    return saga


_Row = Sequence[Any]
_SAGA = [field.attname for field in Saga._meta.concrete_fields]
_STEP = [field.attname for field in SagaStep._meta.concrete_fields]
_WITH_STEPS = Prepared(
    lambda: (
        Saga.objects.filter(pk=UUID(int=0))
        .order_by("steps__position")
        .values_list(*_SAGA, *(f"steps__{name}" for name in _STEP))
    ),
    Saga._meta.pk,
)
# As JSON the saga is read once and not with each step, and all of it at once.
_WITH_STEPS_AS_JSON = f"""
SELECT json_build_array({", ".join(f"saga.{name}" for name in _SAGA)}), (
  SELECT json_agg(json_build_array({", ".join(_STEP)}) ORDER BY position)
  FROM "sagas_sagastep" AS step WHERE step.saga_id = saga.id
)
FROM "sagas_saga" AS saga WHERE saga.id = %s"""


def _by_join(saga_id: UUID) -> tuple[_Row, list[_Row]] | None:
    rows = _WITH_STEPS.rows(saga_id)
    if not rows:
        return None
    width = len(_SAGA)
    return rows[0][:width], [row[width:] for row in rows if row[width] is not None]


def _from_postgresql(saga_id: UUID) -> tuple[_Row, list[_Row]] | None:
    for saga, steps in fetched(_WITH_STEPS_AS_JSON, [saga_id]):
        try:
            return _read(saga, _OF_SAGA), [_read(step, _OF_STEP) for step in steps or ()]
        except ValueError as error:  # a time beyond Python's
            raise DataError(str(error)) from error
    return None


_Readers = list[tuple[int, Callable[[str], Any]]]
"""By column: what reads the text that JSON has in place of the value."""


def _readers(model: type[Model]) -> _Readers:
    found: _Readers = []
    for position, field in enumerate(model._meta.concrete_fields):
        kind = field.target_field if isinstance(field, ForeignKey) else field
        if isinstance(kind, DateTimeField):
            found.append((position, datetime.fromisoformat))
        elif isinstance(kind, UUIDField):
            found.append((position, UUID))
    return found


_OF_SAGA, _OF_STEP = _readers(Saga), _readers(SagaStep)


def _read(row: list[Any], readers: _Readers) -> _Row:
    for position, read in readers:
        if row[position] is not None:
            row[position] = read(row[position])
    return row


_SEQ = Prepared(
    lambda: Saga.objects.order_by().filter(pk=UUID(int=0)).values_list("seq"), Saga._meta.pk
)


def saga_seq(saga_id: UUID) -> int:
    """The number of the saga's last event: it changes with every commit.

    Raises Saga.DoesNotExist.
    """
    for (seq,) in _SEQ.rows(saga_id):
        return int(seq)
    raise Saga.DoesNotExist


def saga_events(saga_id: UUID) -> QuerySet[SagaEvent]:
    """The saga's history, in order."""
    return SagaEvent.objects.filter(saga_id=saga_id).order_by("seq")


def latest_start(saga_id: UUID, seq: int) -> SagaEvent | None:
    """The start of the latest attempt up to that event."""
    starts = saga_events(saga_id).filter(kind="attempt_started", seq__lte=seq)
    return starts.only("at", "epoch").last()


def database_now() -> datetime:
    """The database's clock, by which leases and waits are measured."""
    ((now,),) = fetched(f"SELECT {_clock()}", [])
    return _datetime(now)


def now_and_named(key: str, client: str) -> tuple[datetime, dict[str, tuple[UUID, str]]]:
    """The database's clock, and the sagas of that idempotency key: id and digest by client.

    Looked for are the client's own and that of a request without a name. One query.
    """
    sql = (
        f"SELECT {_clock()}, id, client, request_digest FROM (SELECT 1 AS one) AS one"
        " LEFT JOIN sagas_saga ON idempotency_key = %s AND client IN (%s, '')"
    )
    rows = fetched(sql, [key, client])
    found = {of: (_uuid(saga_id), digest) for _, saga_id, of, digest in rows if saga_id is not None}
    return _datetime(rows[0][0]), found


def _clock() -> str:
    sqlite = connection.vendor == "sqlite"
    return "strftime('%%Y-%%m-%%d %%H:%%M:%%f+00:00', 'now')" if sqlite else "clock_timestamp()"


def _datetime(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def _uuid(value: Any) -> UUID:
    return value if isinstance(value, UUID) else UUID(value)
