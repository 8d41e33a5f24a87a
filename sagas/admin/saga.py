"""The sagas in the console: a list to find them, a page each to read, and their operations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe
from unfold.admin import ModelAdmin

from sagas import paths, services  # noqa: F401 - paths registers <saga_id:…>
from sagas.admin import detail, operations
from sagas.admin.filters import TypeFilter
from sagas.admin.wary import Wary
from sagas.admin.words import IN_DOUBT, STATUSES, Look, span
from sagas.domain.state import Direction, Operation
from sagas.models import Saga
from sagas.selectors import id_or_start

_REASON_LENGTH = 80


def label(*looks: Look) -> SafeString:
    """Labels as HTML; they are told by text and icon, never by colour alone."""
    return render_to_string("admin/sagas/labels.html", {"looks": looks})


@admin.register(Saga)
class SagaAdmin(Wary, ModelAdmin):  # type: ignore[misc]
    """Sagas are read here, and operated through the services; nothing is editable by hand."""

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

    # --- The list -----------------------------------------------------------------------------

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

    # --- One saga -----------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                f"<saga_id:saga_id>/{operation.value}/",
                self.admin_site.admin_view(self.operate),
                {"operation": operation},
                name=f"sagas_saga_{operation.value}",
            )
            for operation in Operation
        ]
        return [*own, *super().get_urls()]

    @method_decorator(require_safe)
    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The page of one saga."""
        self._require(request)
        saga = _find(object_id)
        if saga is None:
            return _missing(request, object_id)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Saga"),
            "subtitle": str(saga),
            "original": saga,
            "buttons": operations.buttons(request.user, saga),
            **detail.page(saga, timezone.now()),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/sagas/saga/detail.html", context)

    @method_decorator(require_http_methods(["GET", "HEAD", "POST"]))
    def operate(
        self, request: HttpRequest, saga_id: UUID, operation: Operation
    ) -> HttpResponseBase:
        """Ask for a reason and confirmation; with both, perform the operation."""
        self._require(request, operation)
        saga = _find(str(saga_id))
        if saga is None:
            return _missing(request, str(saga_id))
        context = {**self.admin_site.each_context(request), "opts": self.opts, "original": saga}
        return operations.confirm(request, saga, operation, context)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A saga's history is on its page."""
        return redirect("admin:sagas_saga_change", object_id)

    # --- Permissions --------------------------------------------------------------------------

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return operations.may(request.user, "view_saga")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def _require(self, request: HttpRequest, operation: Operation | None = None) -> None:
        needed: Sequence[str] = ["view_saga", *([operation.value] if operation else [])]
        if not all(operations.may(request.user, permission) for permission in needed):
            raise PermissionDenied


def _utc(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _missing(request: HttpRequest, saga_id: str) -> HttpResponse:
    messages.warning(request, _("There is no saga %(id)s.") % {"id": saga_id})
    return redirect("admin:sagas_saga_changelist")


def _find(saga_id: str) -> Saga | None:
    try:
        return services.get_saga(UUID(saga_id))
    except (ValueError, services.SagaNotFound):
        return None
