"""The sagas in the console: a list to find them, a page each to read, and their operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotFound
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe
from unfold.admin import ModelAdmin

from sagas import paths, services  # noqa: F401 - paths registers <saga_id:…>
from sagas.admin import detail, operations
from sagas.admin.listing import SagaList
from sagas.admin.wary import Wary
from sagas.domain.state import Operation
from sagas.models import Saga


@admin.register(Saga)
class SagaAdmin(Wary, SagaList, ModelAdmin):  # type: ignore[misc]
    """Sagas are read here, and operated through the services; nothing is editable by hand."""

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
        now, live = timezone.now(), "X-Live" in request.headers
        tag = detail.tag(object_id, now) if live else None
        if tag is not None:
            current = get_conditional_response(request, etag=tag.etag)
            if current is not None:
                return tag.put_on(current)
        saga = None if live and tag is None else _find(object_id)
        if saga is None:
            return HttpResponseNotFound() if live else _missing(request, object_id)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Saga"),
            "subtitle": str(saga),
            "original": saga,
            "buttons": operations.buttons(request.user, saga),
            **detail.page(saga, now, detail.Place.of(request.GET)),
            **(extra_context or {}),
        }
        if tag is None:
            return TemplateResponse(request, "admin/sagas/saga/detail.html", context)
        return tag.put_on(TemplateResponse(request, "admin/sagas/saga/live.html", context))

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


def _missing(request: HttpRequest, saga_id: str) -> HttpResponse:
    messages.warning(request, _("There is no saga %(id)s.") % {"id": saga_id})
    return redirect("admin:sagas_saga_changelist")


def _find(saga_id: str) -> Saga | None:
    try:
        return services.get_saga(UUID(saga_id))
    except (ValueError, services.SagaNotFound):
        return None
