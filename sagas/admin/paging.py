"""Pages of the list of sagas: found by where the one before ended, so that nothing is counted.

A page costs the same however many sagas there are, and however deep it lies.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.admin.views.main import PAGE_VAR
from django.core.paginator import Paginator
from django.db.models import Prefetch, Q, QuerySet, prefetch_related_objects
from django.http import HttpRequest
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from unfold.views import ChangeList

from sagas.admin.filters import SINCE
from sagas.admin.words import grouped
from sagas.models import Saga, SagaStep

MOST_COUNTED = 10_000
"""How many of the sagas that an action could be applied to are counted."""

_AFTER, _BEFORE = "after", "before"
_TIMED = {"due_at": ("due_at", "id"), "-due_at": ("-due_at", "-id")}


class Count(int):
    """A number of sagas that is known to be exceeded."""

    def __str__(self) -> str:
        return _("more than %(number)s") % {"number": grouped(int(self))}


class SagaChangeList(ChangeList):
    """The list with its filters and search, a page of it."""

    result_list: list[Saga]
    newer: str | None = None
    older: str | None = None
    first: str | None = None
    """Addresses of other pages, where there are such."""

    def get_queryset(
        self, request: HttpRequest, exclude_parameters: list[str | None] | None = None
    ) -> QuerySet[Saga]:
        """All sagas that are asked for, whatever the page."""
        for name in (_AFTER, _BEFORE, PAGE_VAR):
            self.params.pop(name, None)
            self.filter_params.pop(name, None)
        found: QuerySet[Saga] = super().get_queryset(request, exclude_parameters)
        return found

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Saga]) -> list[Any]:
        """By the newest, the oldest, the next attempt, or the last end: what an index serves."""
        asked = super().get_ordering(request, queryset)[0] if "o" in self.params else ""
        if asked in _TIMED and "follows" in (self.sortable_by or ()):
            return list(_TIMED[asked])
        if asked in ("id", "-id"):
            return [asked]
        return ["-ended_at", "-id"] if self.params.get("ended") in SINCE else ["-id"]

    def get_results(self, request: HttpRequest) -> None:
        self.order: list[str] = list(self.queryset.query.order_by)
        rows, more, less = self._page(request)
        steps = SagaStep.objects.only(
            "saga_id", "name", "status", "calling", "attempts", "compensation_attempts", "error"
        )
        going = [saga for saga in rows if saga.current_step]
        prefetch_related_objects(going, Prefetch("steps", queryset=steps))
        self.result_list = rows
        self.older = self._link(_AFTER, rows[-1]) if more else None
        self.newer = self._link(_BEFORE, rows[0]) if less and rows else None
        self.first = self.get_query_string() if less else None
        # What Django's views and templates ask for.
        self.result_count = self._count(request, len(rows), more or less)
        self.full_result_count = None
        self.show_full_result_count = self.can_show_all = self.multi_page = False
        self.show_admin_actions = True
        self.paginator = Paginator(rows, self.list_per_page)

    def _page(self, request: HttpRequest) -> tuple[list[Saga], bool, bool]:
        """The rows, and whether there are more after and before them."""
        before = self._cursor(request.GET.get(_BEFORE, ""), back=True)
        if before is not None:
            rows = list(self.queryset.filter(before).reverse()[: self.list_per_page + 1])
            if len(rows) > self.list_per_page:
                return rows[-2::-1], True, True
        after = (
            None if before is not None else self._cursor(request.GET.get(_AFTER, ""), back=False)
        )
        found = self.queryset if after is None else self.queryset.filter(after)
        rows = list(found[: self.list_per_page + 1])
        return rows[: self.list_per_page], len(rows) > self.list_per_page, after is not None

    def _cursor(self, text: str, *, back: bool) -> Q | None:
        """The condition for what comes after the place, or before it; None for no place."""
        moment, _sign, saga_id = text.rpartition("_")
        try:
            pk, at = UUID(saga_id), parse_datetime(moment)
        except ValueError:
            return None
        than = "lt" if self.order[0].startswith("-") is not back else "gt"
        if len(self.order) == 1:
            return Q(**{f"pk__{than}": pk})
        if at is None or at.tzinfo is None:
            return None
        name = self.order[0].removeprefix("-")
        # The first condition says nothing more; it is what the index is read by.
        within = Q(**{f"{name}__{than}e": at})
        return within & (Q(**{f"{name}__{than}": at}) | Q(**{name: at, f"pk__{than}": pk}))

    def _link(self, way: str, saga: Saga) -> str:
        at: datetime | None = None
        if len(self.order) > 1:
            at = getattr(saga, self.order[0].removeprefix("-"))
        place = f"{at.isoformat()}_{saga.pk}" if at else str(saga.pk)
        link: str = self.get_query_string({way: place})
        return link

    def _count(self, request: HttpRequest, shown: int, others: bool) -> int:
        """How many there are: exact where that is known or cheap, and else a `Count`."""
        if not others:
            return shown
        if self.query or not self.model_admin.get_actions(request):
            return Count(shown)
        number = self.queryset.order_by()[: MOST_COUNTED + 1].count()
        return number if number <= MOST_COUNTED else Count(MOST_COUNTED)
