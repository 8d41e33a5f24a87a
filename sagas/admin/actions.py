"""The actions of the list: operations on many sagas, each previewed first."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from sagas.admin import bulk
from sagas.admin.operations import may
from sagas.domain.state import Operation
from sagas.models import Saga


class BulkActions:
    """One action for each operation, for who may do it; a mixin for the ModelAdmin of sagas."""

    actions = ("preview_execute", "preview_retry", "preview_compensate")

    @admin.action(description=_("Execute: preview"), permissions=["execute"])
    def preview_execute(self, request: HttpRequest, queryset: QuerySet[Saga]) -> HttpResponse:
        """Execute the chosen sagas, once that is previewed and confirmed."""
        return bulk.ask(request, Operation.EXECUTE, queryset)

    @admin.action(description=_("Retry: preview"), permissions=["retry"])
    def preview_retry(self, request: HttpRequest, queryset: QuerySet[Saga]) -> HttpResponse:
        """Retry the chosen sagas, once that is previewed and confirmed."""
        return bulk.ask(request, Operation.RETRY, queryset)

    @admin.action(description=_("Compensate: preview"), permissions=["compensate"])
    def preview_compensate(self, request: HttpRequest, queryset: QuerySet[Saga]) -> HttpResponse:
        """Compensate the chosen sagas, once that is previewed and confirmed."""
        return bulk.ask(request, Operation.COMPENSATE, queryset)

    def has_execute_permission(self, request: HttpRequest) -> bool:
        """Whether the user sees the action."""
        return may(request.user, "execute")

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Whether the user sees the action."""
        return may(request.user, "retry")

    def has_compensate_permission(self, request: HttpRequest) -> bool:
        """Whether the user sees the action."""
        return may(request.user, "compensate")
