"""Filters of the list of sagas."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from executors.registry import registry
from sagas.models import Saga


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
