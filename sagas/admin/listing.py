"""The list of sagas: its columns, filters and search."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from executors.registry import registry
from sagas.admin.filters import (
    CreatedFilter,
    EndedFilter,
    QuestionFilter,
    StatusFilter,
    TypeFilter,
)
from sagas.admin.finding import find
from sagas.admin.paging import SagaChangeList
from sagas.admin.words import IN_DOUBT, Look, span, status_look
from sagas.domain.state import Direction, SagaStatus
from sagas.models import Saga, SagaStep

_REASON_LENGTH = 80
_RETRYING = Look(_("retrying"), "replay", "warning")
_RUNNING = {"retrying", "held", "parked", "compensating", "overdue", "late", "near"}
"""The questions that only sagas in progress answer."""


def label(*looks: Look) -> SafeString:
    """Labels as HTML; they are told by text and icon, never by colour alone."""
    return render_to_string("admin/sagas/labels.html", {"looks": looks})


class SagaList:
    """What the list shows and how it is searched; a mixin for the ModelAdmin of sagas."""

    list_display = (
        "short_id",
        "state",
        "going",
        "why",
        "follows",
        "age",
        "until",
    )
    list_filter = (
        ("status", StatusFilter),
        QuestionFilter,
        TypeFilter,
        EndedFilter,
        CreatedFilter,
    )
    list_filter_sheet = False  # beside the list where there is room
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # a count per choice, over the whole table
    ordering = ("-id",)
    search_fields = ("id", "type", "current_step", "data")
    search_help_text = _("Id, its start or end; type; step; customer_id=123; sale-77")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[SagaChangeList]:
        return SagaChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Saga]:
        return Saga.objects.defer("data")

    def get_sortable_by(self, request: HttpRequest) -> tuple[str, ...]:
        running = request.GET.get("status__exact") == SagaStatus.IN_PROGRESS.value
        return ("age", "follows") if running or request.GET.get("is") in _RUNNING else ("age",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return find(queryset, search_term), False

    @admin.display(description=_("saga"))
    def short_id(self, saga: Saga) -> SafeString:
        # The start of a UUIDv7 is its time, much the same for all sagas of one minute.
        return format_html(
            '<code class="saga-nowrap" title="{}">…{}</code><small class="saga-below">{}</small>',
            saga.id,
            str(saga.id)[-12:],
            saga.type,
        )

    @admin.display(description=_("status"))
    def state(self, saga: Saga) -> SafeString:
        looks = [status_look(saga.status)]
        looks += [IN_DOUBT] if saga.in_doubt else []
        looks += [_RETRYING] if _retries(saga) else []
        return label(*looks)

    @admin.display(description=_("step"), empty_value="–")
    def going(self, saga: Saga) -> SafeString | None:
        if not saga.current_step:
            return None
        arrow = "→" if saga.direction == Direction.FORWARD.value else "←"
        return format_html(
            '<span class="saga-nowrap" title="{}">{} {}</span><small class="saga-below">{}</small>',
            saga.get_direction_display(),
            arrow,
            saga.current_step,
            _attempt(saga),
        )

    @admin.display(
        description=_("next attempt, worker, or end"), empty_value="–", ordering="due_at"
    )
    def follows(self, saga: Saga) -> SafeString | None:
        now = timezone.now()
        if saga.due_at is None and saga.ended_at is None:
            return None
        at = saga.due_at or saga.ended_at
        assert at is not None
        if saga.due_at is None:
            text = _("ended %(span)s ago") % {"span": span(now - at)}
        elif saga.owner:
            text = saga.owner
        elif at > now:
            text = _("in %(span)s") % {"span": span(at - now)}
        else:
            text = _("due for %(span)s") % {"span": span(now - at)}
        return format_html('<span class="saga-follows" title="{}">{}</span>', _utc(at), text)

    @admin.display(description=_("age"), ordering="-id")
    def age(self, saga: Saga) -> SafeString:
        length = span(timezone.now() - saga.created_at)
        created = _utc(saga.created_at)
        return format_html('<span class="saga-nowrap" title="{}">{}</span>', created, length)

    @admin.display(description=_("deadline"), empty_value="–")
    def until(self, saga: Saga) -> SafeString | None:
        if saga.deadline is None or saga.status != SagaStatus.IN_PROGRESS.value:
            return None
        left = saga.deadline - timezone.now()
        passed = left.total_seconds() < 0
        text = _("passed %(span)s ago") if passed else _("in %(span)s")
        words = text % {"span": span(abs(left))}
        return format_html('<span title="{}">{}</span>', _utc(saga.deadline), words)

    @admin.display(description=_("reason"), empty_value="–")
    def why(self, saga: Saga) -> SafeString | None:
        step = _current(saga)
        reason = saga.waiting or (step.error if step and _retries(saga) else "") or saga.reason
        if not reason:
            return None
        short = Truncator(reason).chars(_REASON_LENGTH)
        return format_html('<span class="saga-reason" title="{}">{}</span>', reason, short)


def _current(saga: Saga) -> SagaStep | None:
    """The step that the saga is at, which the list has read with it."""
    if not saga.current_step:
        return None
    return next((step for step in saga.steps.all() if step.name == saga.current_step), None)


def _number(saga: Saga) -> int:
    """Which attempt is under way, comes next, or was the last; 0 if none has to do with it."""
    step = _current(saga)
    if step is None or saga.status == SagaStatus.PENDING.value:
        return 0
    forward = saga.direction == Direction.FORWARD.value
    made = step.attempts if forward else step.compensation_attempts
    comes = saga.status == SagaStatus.IN_PROGRESS.value and not step.calling
    return made + 1 if comes else made


def _attempt(saga: Saga) -> Promise | str:
    """Which attempt it is of how many, in words; empty if none has to do with it."""
    step, number = _current(saga), _number(saga)
    if step is None or not number:
        return ""
    most = _most(saga, step.name)
    text = _("attempt %(number)d of %(most)d") if most else _("attempt %(number)d")
    return text % {"number": number, "most": most}


def _retries(saga: Saga) -> bool:
    return saga.status == SagaStatus.IN_PROGRESS.value and _number(saga) > 1


def _most(saga: Saga, step: str) -> int | None:
    """Attempts that the step is given, by the code that this process has."""
    executor = registry.find(saga.type, saga.definition_version)
    known = executor.definition.steps if executor else ()
    return next((1 + each.retry.max_retries for each in known if each.name == step), None)


def _utc(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
