"""What an overview asks the tables; nothing here takes longer because there are more sagas.

Every count stops at `CAP` rows, which an index finds: beyond that it is "at least so many".
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from sagas.domain.state import StepStatus
from sagas.models import Saga, SagaStep

CAP = 10_000
SAMPLE = 500
"""Sagas, the last that ended, from which times are taken."""

_LEASES = 1000
"""Leases that are looked at: more than the threads of most fleets."""

_ACTIVE = """
SELECT id, type, definition_version, direction, in_doubt, waiting, owner, due_at, deadline
FROM sagas_saga WHERE due_at IS NOT NULL ORDER BY due_at LIMIT %s
"""
_GROUPS = f"""
SELECT type, definition_version, direction, in_doubt, waiting, owner <> '', due_at > %s,
    due_at <= %s, coalesce(deadline < %s, 1 = 0), count(*), min(CAST(id AS text))
FROM ({_ACTIVE}) AS active GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
"""
_LEASED = f"""
SELECT id, type, owner FROM ({_ACTIVE}) AS active
WHERE owner <> '' AND due_at <= %s ORDER BY due_at LIMIT {_LEASES}
"""
_DOUBTFUL = f"SELECT id FROM ({_ACTIVE}) AS active WHERE in_doubt ORDER BY id LIMIT %s"
_RESTING = """
SELECT status, type, in_doubt, count(*) FROM (
    SELECT * FROM (
        SELECT status, type, in_doubt FROM sagas_saga WHERE status = 'pending' LIMIT %s
    ) AS pending
    UNION ALL
    SELECT * FROM (
        SELECT status, type, in_doubt FROM sagas_saga WHERE status = 'failed' LIMIT %s
    ) AS failed
) AS resting GROUP BY 1, 2, 3
"""
_FAILURES = """
SELECT type, current_step, direction, in_doubt, count(*), min(ended_at), max(CAST(id AS text))
FROM (
    SELECT id, type, current_step, direction, in_doubt, ended_at
    FROM sagas_saga WHERE status = 'failed' ORDER BY ended_at DESC LIMIT %s
) AS failed GROUP BY 1, 2, 3, 4
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Sagas in progress that have all this in common."""

    type: str
    version: int
    direction: str
    in_doubt: bool
    waiting: str
    called: bool
    """Whether a worker has them."""

    later: bool
    """Whether they are due later than now: at a lease's end, or after a wait."""

    overdue: bool
    past_deadline: bool
    number: int
    oldest: UUID

    @property
    def retrying(self) -> bool:
        """Whether they wait for another attempt, and for nothing else."""
        return self.later and not self.called and not self.waiting


@dataclass(frozen=True, kw_only=True, slots=True)
class Resting:
    """Sagas, pending or failed, that have all this in common."""

    status: str
    type: str
    in_doubt: bool
    number: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Failures:
    """Sagas that failed at the same call."""

    type: str
    step: str
    direction: str
    in_doubt: bool
    number: int
    since: datetime
    """When the first of them failed."""

    latest: UUID


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """A saga that a worker has."""

    saga_id: UUID
    type: str
    owner: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Times:
    """How long something took, in the sample."""

    number: int
    half: timedelta
    """Half of them took no longer."""

    most: timedelta
    """Of a hundred, 95 took no longer."""


def in_progress(now: datetime, overdue: timedelta) -> list[Group]:
    """The sagas in progress, the `CAP` + 1 that are due first, in groups."""
    moment = connection.ops.adapt_datetimefield_value
    parameters = [moment(now), moment(now - overdue), moment(now), CAP + 1]
    return [
        Group(
            type=saga_type,
            version=version,
            direction=direction,
            in_doubt=bool(in_doubt),
            waiting=waiting,
            called=bool(called),
            later=bool(later),
            overdue=bool(is_overdue),
            past_deadline=bool(past_deadline),
            number=number,
            oldest=UUID(oldest),
        )
        for saga_type, version, direction, in_doubt, waiting, called, later, is_overdue,
        past_deadline, number, oldest in _rows(_GROUPS, parameters)
    ]  # fmt: skip


def resting() -> list[Resting]:
    """The sagas that are pending or failed, of each at most `CAP` + 1, in groups."""
    return [
        Resting(status=status, type=saga_type, in_doubt=bool(in_doubt), number=number)
        for status, saga_type, in_doubt, number in _rows(_RESTING, [CAP + 1, CAP + 1])
    ]


def leases(until: datetime) -> list[Lease]:
    """Sagas that workers have, and whose leases end by then."""
    parameters = [CAP + 1, connection.ops.adapt_datetimefield_value(until)]
    return [
        Lease(saga_id=UUID(str(saga_id)), type=saga_type, owner=owner)
        for saga_id, saga_type, owner in _rows(_LEASED, parameters)
    ]


def failures() -> list[Failures]:
    """The failed sagas, the `CAP` + 1 that failed last, by the call at which they did."""
    return [
        Failures(
            type=saga_type,
            step=step,
            direction=direction,
            in_doubt=bool(in_doubt),
            number=number,
            since=_moment(since),
            latest=UUID(latest),
        )
        for saga_type, step, direction, in_doubt, number, since, latest in _rows(
            _FAILURES, [CAP + 1]
        )
    ]


def oldest_in_doubt(limit: int) -> list[Saga]:
    """Of the sagas in progress that are in doubt, those that were created first."""
    ids = [UUID(str(saga_id)) for (saga_id,) in _rows(_DOUBTFUL, [CAP + 1, limit])]
    found = sagas(ids)
    return [found[saga_id] for saga_id in ids if saga_id in found]


def sagas(ids: Iterable[UUID]) -> dict[UUID, Saga]:
    """Those of the sagas that there still are."""
    return Saga.objects.in_bulk(set(ids))


def durations() -> tuple[dict[tuple[str, str], Times], dict[tuple[str, str], Times]]:
    """How long the last `SAMPLE` sagas took, by type and status; and their steps, by type and name.

    A step's time is that from its first attempt to its success, with retries and waits; the
    steps come in order.
    """
    last = Saga.objects.filter(ended_at__isnull=False).order_by("-ended_at")[:SAMPLE]
    sample = list(last.values_list("id", "type", "status", "started_at", "ended_at"))
    whole: dict[tuple[str, str], list[timedelta]] = defaultdict(list)
    for _, saga_type, status, started_at, ended_at in sample:
        if started_at is not None and ended_at is not None:
            whole[saga_type, status].append(ended_at - started_at)
    types = {saga_id: saga_type for saga_id, saga_type, *_ in sample}
    # A step that was compensated keeps no time of its action's end.
    done = SagaStep.objects.filter(saga_id__in=types, status=StepStatus.COMPLETED.value)
    rows = done.order_by("position").values_list("saga_id", "name", "started_at", "ended_at")
    steps: dict[tuple[str, str], list[timedelta]] = defaultdict(list)
    for saga_id, name, started_at, ended_at in rows:
        if started_at is not None and ended_at is not None:
            steps[types[saga_id], name].append(ended_at - started_at)
    return _times(whole), _times(steps)


def _times(
    lengths: dict[tuple[str, str], list[timedelta]],
) -> dict[tuple[str, str], Times]:
    return {
        key: Times(number=len(some), half=_rank(some, 0.5), most=_rank(some, 0.95))
        for key, some in lengths.items()
    }


def _rank(lengths: Sequence[timedelta], share: float) -> timedelta:
    """The shortest of them than which that share is no longer."""
    return sorted(lengths)[math.ceil(share * len(lengths)) - 1]


def _moment(value: Any) -> datetime:
    """SQLite gives a text, of UTC."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(f"{value}+00:00")


def _rows(sql: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())
