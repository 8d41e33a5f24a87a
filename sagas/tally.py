"""How many sagas ended, over time: counted once, when a stretch of time is over.

Counting the sagas of a week whenever somebody looks would cost the more the more there are. So
the sweepers of the workers count each stretch of five minutes soon after it is over, and what
is not counted yet is little. A saga that ends, is retried and ends again counts both times if
the first was counted before; an answer that is recorded a minute late may not be counted.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import connection
from django.db.models import Max

from sagas.models import Saga, Tally
from sagas.selectors import database_now

STRETCH = 300
"""Seconds; all lengths here are multiples of it."""

KEPT = 8 * 86_400
"""Seconds for which a tally is kept: more than the longest time that is shown."""

_SETTLED = 60
"""Seconds after its end from which a stretch is counted: what ended in it is committed."""

_AT_ONCE = 3 * STRETCH
"""Seconds that are counted in one go, where counting is behind."""

_UNCOUNTED = 4 * STRETCH
"""Seconds before now within which who looks counts for himself what nobody has counted."""

_REST = 30.0
"""Seconds until a sweeper that has counted everything looks again."""

Counts = Counter[tuple[int, str, str]]
"""Sagas by slot of time, type and status."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """The sagas that ended since a moment, in slots of equal length."""

    start: int
    """When the first slot begins: seconds since 1970, UTC."""

    width: int
    """Seconds."""

    slots: int
    counts: Counts
    behind: bool
    """Whether some of what ended is not counted yet."""


def ended(width: int, slots: int) -> Ended:
    """The sagas that ended in that many slots up to now; the last one is not over yet."""
    now = int(database_now().timestamp())
    start = _floor(now, width) - (slots - 1) * width
    since = max(_next(), start)
    live = max(since, _floor(now - _UNCOUNTED, STRETCH))
    counts = _tallied(start, width)
    for begin, saga_type, status, number in _count(live, now + STRETCH):
        counts[(begin - start) // width, saga_type, status] += number
    behind = since < live and _first(since, live) is not None
    return Ended(start=start, width=width, slots=slots, counts=counts, behind=behind)


def catch_up() -> None:
    """Count everything that is over."""
    while _go_on():
        pass


class Tallying:
    """What a sweeper does about it, each time a little."""

    def __init__(self) -> None:
        self._rest_until = 0.0

    def go_on(self) -> None:
        """Count the next stretches that are over, if there are any."""
        if time.monotonic() >= self._rest_until and not _go_on():
            self._rest_until = time.monotonic() + _REST


def _go_on() -> bool:
    """Count some stretches; whether there were any."""
    over = _floor(int(database_now().timestamp()) - _SETTLED, STRETCH)
    first = _first(max(_next(), over - KEPT), over)
    if first is None:
        return False
    begin = _floor(first, STRETCH)
    rows = [
        Tally(start=start, type=saga_type, status=status, number=number)
        for start, saga_type, status, number in _count(begin, min(begin + _AT_ONCE, over))
    ]
    # Another sweeper may have counted the same.
    Tally.objects.bulk_create(rows, ignore_conflicts=True)
    Tally.objects.filter(start__lt=over - KEPT).delete()
    return True


def _next() -> int:
    """The first stretch that is not counted, unless nothing ended in it."""
    last = Tally.objects.aggregate(last=Max("start"))["last"]
    return 0 if last is None else int(last) + STRETCH


def _first(begin: int, end: int) -> int | None:
    """When the first saga ended within the time."""
    found = Saga.objects.filter(ended_at__gte=_moment(begin), ended_at__lt=_moment(end))
    at = found.order_by("ended_at").values_list("ended_at", flat=True).first()
    return None if at is None else int(at.timestamp())


def _tallied(start: int, width: int) -> Counts:
    sql = """
    SELECT (start - %s) / %s AS slot, type, status, sum(number)
    FROM sagas_tally WHERE start >= %s GROUP BY 1, 2, 3
    """
    with connection.cursor() as cursor:
        cursor.execute(sql, [start, width, start])
        return Counter({(slot, t, status): int(n) for slot, t, status, n in cursor.fetchall()})


def _count(begin: int, end: int) -> Iterable[tuple[int, str, str, int]]:
    """The sagas that ended within the time, by the start of their stretch, type and status."""
    seconds = "floor(extract(epoch FROM ended_at))::bigint"
    if connection.vendor == "sqlite":
        seconds = "CAST(strftime('%%s', ended_at) AS INTEGER)"
    sql = f"""
    SELECT {seconds} / {STRETCH} * {STRETCH}, type, status, count(*)
    FROM sagas_saga WHERE ended_at >= %s AND ended_at < %s GROUP BY 1, 2, 3
    """
    adapt = connection.ops.adapt_datetimefield_value
    with connection.cursor() as cursor:
        cursor.execute(sql, [adapt(_moment(begin)), adapt(_moment(end))])
        return list(cursor.fetchall())


def _floor(seconds: int, width: int) -> int:
    return seconds // width * width


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
