"""Filters of the list of sagas: the questions of operators, each with an address of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateformat import format as date_format
from django.utils.translation import gettext_lazy as _

from executors.registry import registry
from sagas.models import Saga
from sagas.selectors import created_between

_PARKED = Q(waiting__startswith="no code here knows ") | Q(
    waiting__startswith="the code's steps of "
)
"""Why nobody can drive a saga, in the engine's words; all else is why its call was held back."""

_NEAR = timedelta(minutes=5)
_OVERDUE = timedelta(seconds=10)

_MONTHS = 24


class StatusFilter(admin.ChoicesFieldListFilter):
    """By status."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = _("status")


class TypeFilter(admin.SimpleListFilter):
    """By saga type: the types that the code knows, so that no query looks for them.

    Sagas of a type that is no longer declared are found by the search.
    """

    title = _("type")
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in registry.types()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Saga]) -> QuerySet[Saga]:
        return queryset.filter(type=self.value()) if self.value() else queryset


_RUNNING = Q(status="in_progress")
_WAITING = _RUNNING & ~Q(waiting="")

QUESTIONS: Mapping[str, tuple[Any, Callable[[datetime], Q]]] = {
    "failed": (_("failed: a person decides"), lambda now: Q(status="failed")),
    "in_doubt": (_("in doubt"), lambda now: Q(in_doubt=True)),
    "retrying": (
        _("waits for a retry"),
        lambda now: _RUNNING & Q(owner="", waiting="", due_at__gt=now),
    ),
    "held": (_("waits for a breaker"), lambda now: _WAITING & ~_PARKED),
    "parked": (_("waits for its code"), lambda now: _WAITING & _PARKED),
    "compensating": (_("compensating"), lambda now: _RUNNING & Q(direction="compensating")),
    "overdue": (_("due, and no worker came"), lambda now: Q(due_at__lte=now - _OVERDUE)),
    "late": (_("past its deadline"), lambda now: _RUNNING & Q(deadline__lte=now)),
    "near": (
        _("deadline within 5 minutes"),
        lambda now: _RUNNING & Q(deadline__gt=now, deadline__lte=now + _NEAR),
    ),
}
"""What operators ask for, by the name in the address."""


class QuestionFilter(admin.SimpleListFilter):
    """By what a saga waits for, or is in need of."""

    title = _("situation")
    parameter_name = "is"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(name, text) for name, (text, _condition) in QUESTIONS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Saga]) -> QuerySet[Saga]:
        asked = QUESTIONS.get(self.value() or "")
        return queryset.filter(asked[1](timezone.now())) if asked else queryset


SINCE: Mapping[str, tuple[Any, timedelta]] = {
    "1h": (_("in the last hour"), timedelta(hours=1)),
    "24h": (_("in the last 24 hours"), timedelta(hours=24)),
    "7d": (_("in the last 7 days"), timedelta(days=7)),
}


class EndedFilter(admin.SimpleListFilter):
    """By when a saga ended, in whichever way; the list then begins with the last to end."""

    title = _("ended")
    parameter_name = "ended"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(name, text) for name, (text, _length) in SINCE.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Saga]) -> QuerySet[Saga]:
        since = SINCE.get(self.value() or "")
        return queryset.filter(ended_at__gte=timezone.now() - since[1]) if since else queryset


class CreatedFilter(admin.SimpleListFilter):
    """By month, day or hour of creation, in UTC.

    The choices come from the calendar and the oldest saga, so that no query looks for them. The
    time in the ids bounds what is read, in the order of the list.
    """

    title = _("created (UTC)")
    parameter_name = "created"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        value = self.value()
        if value is None:
            return list(_months())
        month, day = value[:7], value[:10]
        if len(value) == 7:
            start, end = span_of(month)  # type: ignore[misc]
            days = ((end - timedelta(days=n)) for n in range(1, (end - start).days + 1))
            found = [(f"{at:%Y-%m-%d}", date_format(at, "D Y-m-d")) for at in days if at <= _now()]
            return [(month, month), *found]
        hours = ((f"{day}T{hour:02d}", f"{hour:02d}:00") for hour in range(24))
        return [(month, f"← {month}"), (day, day), *hours]

    def value(self) -> str | None:
        """The chosen span; None if what was asked for is none."""
        value = super().value()
        return value if value is not None and span_of(value) else None

    def queryset(self, request: HttpRequest, queryset: QuerySet[Saga]) -> QuerySet[Saga]:
        value = self.value()
        span = span_of(value) if value else None
        if span is None:
            return queryset
        return queryset.filter(created_between(*span))


def span_of(text: str) -> tuple[datetime, datetime] | None:
    """From when to when a month, day or hour is; None if the text is none of our time."""
    formats = {7: "%Y-%m", 10: "%Y-%m-%d", 13: "%Y-%m-%dT%H"}
    if len(text) not in formats or not re.fullmatch(r"[0-9T-]+", text):
        return None
    try:
        start = datetime.strptime(text, formats[len(text)]).replace(tzinfo=UTC)
    except ValueError:
        return None
    if not 1971 <= start.year < 9000:
        return None
    if len(text) == 7:
        return start, (start + timedelta(days=31)).replace(day=1)
    return start, start + timedelta(**{"days" if len(text) == 10 else "hours": 1})


def _months() -> Iterator[tuple[str, str]]:
    first = Saga.objects.order_by("id").values_list("created_at", flat=True).first()
    at = _now().replace(day=1)
    for _number in range(_MONTHS):
        yield f"{at:%Y-%m}", f"{at:%Y-%m}"
        if first is None or at.replace(hour=0, minute=0, second=0, microsecond=0) <= first:
            return
        at = (at - timedelta(days=1)).replace(day=1)


def _now() -> datetime:
    return timezone.now().astimezone(UTC)
