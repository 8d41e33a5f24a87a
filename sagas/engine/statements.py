"""A transition as one statement of PostgreSQL, and so as one round trip and one commit.

The parts are data-modifying CTEs: all of them happen or none, on one snapshot. What the text of a
statement depends on (which columns, how many events) has few values, so that PostgreSQL parses and
plans each once for a connection and psycopg prepares it; Django's own cursors put the values into
the text, which would be parsed and planned anew each time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction

from sagas.models import Saga
from sagas.prepared import fetched

if TYPE_CHECKING:
    from sagas.engine.rows import Change, Columns

_JSON = frozenset({"data", "output", "request", "compensation_request"})
_EVENT = "(%s::int, %s::text, %s::text, %s::bigint, %s::text, %s::text, %s::jsonb)"
_EVENTS = """
INSERT INTO "sagas_sagaevent" (saga_id, seq, kind, step, epoch, actor, reason, data, at)
SELECT saga.id, event.*, %s::timestamptz FROM saga, (VALUES {events}) AS event"""

_UPDATE = """
WITH saga AS (
  UPDATE "sagas_saga" SET {columns} WHERE id = %s AND seq = %s AND epoch = %s RETURNING id
){steps}, events AS ({events})
SELECT id FROM saga"""
_STEP = """, step{number} AS (
  UPDATE "sagas_sagastep" SET {columns}
  WHERE saga_id = %s AND position = %s AND EXISTS (SELECT FROM saga)
)"""

_INSERT = """
WITH saga AS (
  INSERT INTO "sagas_saga" ({columns}) VALUES ({values}) RETURNING id
), steps AS (
  INSERT INTO "sagas_sagastep" (saga_id, position, effect, revision, compensation_attempts,
    name, compensation, status, calling, attempts, request, error, started_at, ended_at)
  SELECT saga.id, step.position, 'none', 0, 0,
    name, compensation, status, calling, attempts, request::jsonb, error, started_at, ended_at
  FROM saga, unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::int[], %s::text[],
    %s::text[], %s::timestamptz[], %s::timestamptz[]) WITH ORDINALITY AS step
    (name, compensation, status, calling, attempts, request, error, started_at, ended_at, position)
), events AS ({events})
SELECT id FROM saga"""

_NEW_STEP = {
    "name": "",
    "compensation": "",
    "status": "pending",
    "calling": "",
    "attempts": 0,
    "request": None,
    "error": "",
    "started_at": None,
    "ended_at": None,
}
"""The columns of a new step's row in which steps differ."""


class SagaRow(NamedTuple):
    """A saga's row, as far as its state needs it."""

    id: UUID
    type: str
    definition_version: int
    data: Any
    status: str
    direction: str
    run: int
    seq: int
    epoch: int
    owner: str
    due_at: datetime | None
    deadline: datetime | None
    cancel_requested: bool
    crashes: int
    reason: str
    waiting: str
    trace: str
    started_at: datetime | None


class StepRow(NamedTuple):
    """A step's row, likewise."""

    name: str
    compensation: str
    status: str
    effect: str
    calling: str
    revision: int
    attempts: int
    compensation_attempts: int
    output: Any
    request: Any
    compensation_request: Any
    error: str


_READ = f"""
SELECT {", ".join(f"saga.{name}" for name in SagaRow._fields)}, statement_timestamp(), (
  SELECT json_agg(json_build_array({", ".join(StepRow._fields)}) ORDER BY position)
  FROM "sagas_sagastep" AS step WHERE step.saga_id = saga.id
)
FROM "sagas_saga" AS saga WHERE saga.id = %s"""


def read(saga_id: UUID) -> tuple[SagaRow, list[StepRow], datetime]:
    """As `rows.read`."""
    found = _execute(_READ, (saga_id,))
    if found is None:
        raise Saga.DoesNotExist
    *columns, now, steps = found
    row = SagaRow._make(columns)
    # Django has psycopg leave `jsonb` as text, but not `json`.
    return (
        row._replace(data=json.loads(row.data)),
        [StepRow._make(step) for step in steps or ()],
        now,
    )


def write(change: Change) -> bool:
    """As `rows.write`."""
    text = _update_text(
        tuple(change.saga),
        tuple(tuple(columns) for _, columns in change.steps),
        len(change.events),
    )
    values = [*_values(change.saga), change.saga_id, change.seq, change.epoch]
    for position, columns in change.steps:
        values += [*_values(columns), change.saga_id, position]
    return _execute(text, [*values, *_of_events(change)]) is not None


def create(given: Columns, change: Change) -> None:
    """As `rows.create`."""
    columns = {**given, **change.saga}
    text = _insert_text(tuple(columns), len(change.events))
    steps = [list(_values({**_NEW_STEP, **own})) for _, own in change.steps]
    values = [*_values(columns), *map(list, zip(*steps, strict=True)), *_of_events(change)]
    if connection.in_atomic_block:
        with transaction.atomic():  # a key that is taken must not end the caller's transaction
            _execute(text, values)
    else:
        _execute(text, values)


@lru_cache(maxsize=500)
def _update_text(saga: tuple[str, ...], steps: tuple[tuple[str, ...], ...], events: int) -> str:
    return _UPDATE.format(
        columns=_set(saga),
        steps="".join(
            _STEP.format(number=number, columns=_set(columns))
            for number, columns in enumerate(steps)
        ),
        events=_events_text(events),
    )


@lru_cache(maxsize=100)
def _insert_text(columns: tuple[str, ...], events: int) -> str:
    return _INSERT.format(
        columns=", ".join(columns),
        values=", ".join(map(_placeholder, columns)),
        events=_events_text(events),
    )


def _events_text(number: int) -> str:
    if not number:
        return "SELECT"
    return _EVENTS.format(events=", ".join([_EVENT] * number))


def _set(columns: Sequence[str]) -> str:
    return ", ".join(f"{name} = {_placeholder(name)}" for name in columns)


def _placeholder(column: str) -> str:
    return "%s::jsonb" if column in _JSON else "%s"


def _values(columns: Mapping[str, Any]) -> Iterator[Any]:
    for name, value in columns.items():
        yield json.dumps(value) if name in _JSON and value is not None else value


def _of_events(change: Change) -> list[Any]:
    if not change.events:
        return []
    values: list[Any] = [change.at]
    for *columns, data in change.events:
        values += columns
        values.append(json.dumps(data))
    return values


def _execute(text: str, values: Sequence[Any]) -> tuple[Any, ...] | None:
    """The first row. Raises Django's errors."""
    return next(iter(fetched(text, values)), None)
