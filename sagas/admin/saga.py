"""The sagas in the console: a list to find them, a page each to read, and their operations."""

from __future__ import annotations

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
from sagas.admin import approvals, audit, bulk, detail, operations
from sagas.admin.actions import BulkActions
from sagas.admin.listing import SagaList
from sagas.admin.wary import Wary
from sagas.models import BulkOperation, Saga


@admin.register(Saga)
class SagaAdmin(BulkActions, Wary, SagaList, ModelAdmin):  # type: ignore[misc]
    """Sagas are read here, and operated through the services; nothing is editable by hand."""

    # --- One saga -----------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                f"<saga_id:saga_id>/{task.name}/",
                self.admin_site.admin_view(self.operate),
                {"task": task},
                name=f"sagas_saga_{task.name}",
            )
            for task in operations.TASKS.values()
        ]
        view = self.admin_site.admin_view
        others = [
            path("bulk/", view(self.bulk_index), name="sagas_bulk_index"),
            path("bulk/<uuid:bulk_id>/", view(self.bulk), name="sagas_bulk"),
            path("audit/", view(self.audit), name="sagas_audit"),
            path("approvals/", view(self.approval_index), name="sagas_approval_index"),
            path("approvals/<int:proposal_id>/", view(self.approval), name="sagas_approval"),
        ]
        return [*own, *others, *super().get_urls()]

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
            "proposal_url": approvals.open_for(saga),
            **detail.page(saga, now, detail.Place.of(request.GET)),
            **(extra_context or {}),
        }
        if tag is None:
            return TemplateResponse(request, "admin/sagas/saga/detail.html", context)
        return tag.put_on(TemplateResponse(request, "admin/sagas/saga/live.html", context))

    @method_decorator(require_http_methods(["GET", "HEAD", "POST"]))
    def operate(
        self, request: HttpRequest, saga_id: UUID, task: operations.Task
    ) -> HttpResponseBase:
        """Preview an operation; with a reason and the preview confirmed, perform it."""
        self._require(request, task.name)
        saga = _find(str(saga_id))
        if saga is None:
            return _missing(request, str(saga_id))
        return operations.page(request, saga, task, self.admin_site.each_context(request))

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A saga's history is on its page."""
        return redirect("admin:sagas_saga_change", object_id)

    # --- Many sagas, and two persons --------------------------------------------------------

    @method_decorator(require_safe)
    def bulk_index(self, request: HttpRequest) -> HttpResponse:
        """The latest bulk operations."""
        self._require(request)
        return bulk.index(request, self.admin_site.each_context(request))

    @method_decorator(require_http_methods(["GET", "HEAD", "POST"]))
    def bulk(self, request: HttpRequest, bulk_id: UUID) -> HttpResponse:
        """One bulk operation, and its confirmation."""
        self._require(request)
        operation = BulkOperation.objects.filter(pk=bulk_id).values_list("operation", flat=True)
        may = all(operations.may(request.user, name) for name in operation)
        if request.method == "POST" and not may:
            raise PermissionDenied
        return bulk.page(request, bulk_id, self.admin_site.each_context(request), may=may)

    @method_decorator(require_safe)
    def approval_index(self, request: HttpRequest) -> HttpResponse:
        """What was proposed."""
        self._require(request)
        return approvals.index(request, self.admin_site.each_context(request))

    @method_decorator(require_http_methods(["GET", "HEAD", "POST"]))
    def approval(self, request: HttpRequest, proposal_id: int) -> HttpResponse:
        """One proposal, and its decision."""
        self._require(request)
        may = operations.may(request.user, "approve")
        return approvals.page(request, proposal_id, self.admin_site.each_context(request), may=may)

    @method_decorator(require_safe)
    def audit(self, request: HttpRequest) -> HttpResponse:
        """What people did, across all sagas."""
        self._require(request)
        users = request.user.has_perm("auth.view_user")
        return audit.page(request, self.admin_site.each_context(request), users=users)

    # --- Permissions --------------------------------------------------------------------------

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return operations.may(request.user, "view_saga")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def _require(self, request: HttpRequest, *permissions: str) -> None:
        needed = ("view_saga", *permissions)
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
