"""What the console's lists may be asked: anybody can write an address or a form by hand."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import BadRequest, ValidationError
from django.http import HttpRequest, HttpResponseBase

_LOOKUPS = {"exact", "in", "isnull", "gt", "gte", "lt", "lte", "id"}

_UNASKED = {"data", "request_digest", "idempotency_key"}
"""Columns that nobody is shown as they are: who may ask which are above a value finds them out."""


class Wary:
    """Answers 400 to questions that would end in a 5xx; a mixin for a ModelAdmin.

    Django allows every lookup of a model's own fields. A regular expression of a visitor's may
    be none, or cost the database minutes; a year may be none of the calendar's.
    """

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Whether the list may be filtered so."""
        column, *lookups = lookup.split("__")
        if column in _UNASKED or not _LOOKUPS.issuperset(lookups):
            return False
        allowed: bool = super().lookup_allowed(lookup, value, request)  # type: ignore[misc]
        return allowed

    def response_action(self, request: HttpRequest, queryset: Any) -> HttpResponseBase | None:
        """Perform the action on the chosen rows. Raises BadRequest if one is named by no id."""
        for chosen in request.POST.getlist("_selected_action"):
            try:
                queryset.model._meta.pk.to_python(chosen)
            except ValidationError as error:
                raise BadRequest("a row is named by what is no id") from error
        answer: HttpResponseBase | None = super().response_action(request, queryset)  # type: ignore[misc]
        return answer
