"""What a list in the console may be asked by its address."""

from __future__ import annotations

from django.http import HttpRequest

_LOOKUPS = {"exact", "in", "isnull", "gt", "gte", "lt", "lte", "id"}


class NarrowLookups:
    """Allows the lookups of the list's filters and their like; a mixin for a ModelAdmin.

    Django allows every lookup of a model's own fields. A regular expression of a visitor's may
    be none, or cost the database minutes; a year may be none of the calendar's.
    """

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Whether the list may be filtered so; if not, the answer is 400."""
        if not _LOOKUPS.issuperset(lookup.split("__")[1:]):
            return False
        allowed: bool = super().lookup_allowed(lookup, value, request)  # type: ignore[misc]
        return allowed
