"""The list of sagas: its columns, filters and search."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from sagas.admin.filters import TypeFilter
from sagas.admin.words import IN_DOUBT, STATUSES, Look, span
from sagas.domain.state import Direction
from sagas.models import Saga
from sagas.selectors import id_or_start

_REASON_LENGTH = 80


def label(*looks: Look) -> SafeString:
    """Labels as HTML; they are told by text and icon, never by colour alone."""
    return render_to_string("admin/sagas/labels.html", {"looks": looks})


class SagaList:
    """What the list shows and how it is searched; a mixin for the ModelAdmin of sagas."""

    list_display = ("short_id", "type", "state", "going", "age", "follows", "why")
    list_filter = (
        "status",
        TypeFilter,
        "direction",
        "in_doubt",
        ("created_at", admin.DateFieldListFilter),
    )
    list_filter_sheet = False  # beside the list where there is room
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # a count per choice, over the whole table
    ordering = ("-id",)
    sortable_by = ("short_id",)
    search_fields = ("id", "type", "current_step")
    search_help_text = _("A saga's whole id, or the start of a type or of a current step.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Saga]:
        return Saga.objects.defer("data")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        found = id_or_start(term, "type", "current_step")
        return (queryset.filter(found) if term else queryset), False

    @admin.display(description=_("saga"), ordering="id")
    def short_id(self, saga: Saga) -> SafeString:
        # The start of a UUIDv7 is its time, much the same for all sagas of one minute.
        return format_html(
            '<code class="saga-nowrap" title="{}">…{}</code>', saga.id, str(saga.id)[-12:]
        )

    @admin.display(description=_("status"))
    def state(self, saga: Saga) -> SafeString:
        looks = [STATUSES[saga.status], *([IN_DOUBT] if saga.in_doubt else [])]
        return label(*looks)

    @admin.display(description=_("direction and step"), empty_value="–")
    def going(self, saga: Saga) -> SafeString | None:
        if not saga.current_step:
            return None
        arrow = "→" if saga.direction == Direction.FORWARD.value else "←"
        return format_html(
            '<span class="saga-nowrap" title="{}">{} {}</span>',
            saga.get_direction_display(),
            arrow,
            saga.current_step,
        )

    @admin.display(description=_("age"))
    def age(self, saga: Saga) -> SafeString:
        length = span(timezone.now() - saga.created_at)
        created = _utc(saga.created_at)
        return format_html('<span class="saga-nowrap" title="{}">{}</span>', created, length)

    @admin.display(description=_("next attempt, or worker"), empty_value="–")
    def follows(self, saga: Saga) -> SafeString | None:
        if saga.due_at is None:
            return None
        wait = saga.due_at - timezone.now()
        if saga.owner:
            text = saga.owner
        elif wait.total_seconds() > 0:
            text = _("in %(span)s") % {"span": span(wait)}
        else:
            text = _("due for %(span)s") % {"span": span(-wait)}
        return format_html('<span title="{}">{}</span>', _utc(saga.due_at), text)

    @admin.display(description=_("reason"), empty_value="–")
    def why(self, saga: Saga) -> SafeString | None:
        reason = saga.waiting or saga.reason
        if not reason:
            return None
        short = Truncator(reason).chars(_REASON_LENGTH)
        return format_html('<span class="saga-reason" title="{}">{}</span>', reason, short)


def _utc(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
