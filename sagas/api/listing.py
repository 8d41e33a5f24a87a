"""The list's query: filters, order and pages, validated before they reach the database."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.functions import Left, Upper
from django.urls import reverse
from django.utils.http import urlencode
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from executors.fields import StrictSerializer, Text, Whole
from executors.registry import registry
from sagas.api.serializers import SAGA_STATUSES, SagaSummarySerializer
from sagas.models import Saga
from sagas.search import known_types
from sagas.selectors import created_between

MAX_LIMIT = 200
MAX_OFFSET = 10_000
MOST = 10_000
"""Sagas that are counted, or sorted where no index has the order, at most."""

LONGEST = 100
"""Characters of a search, and of a reason that its index holds (migration 0011)."""

_AT_A_STEP = ("pending", "in_progress", "failed")

_ORDERS = [
    ("created_at", "oldest first"),
    ("-created_at", "newest first"),
    ("updated_at", "longest unchanged first"),
    ("-updated_at", "last changed first"),
]


@extend_schema_field({"$ref": "#/components/schemas/SagaStatus"})
class StatusField(serializers.ChoiceField):
    """A saga's status; the document names the values once."""


@extend_schema_field(
    {"type": "string", "maxLength": 100, "pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$"}
)
class Words(Text):
    """What is looked for: not nothing, nor only white space."""


class ListQuery(StrictSerializer):
    """The query parameters of the list."""

    status = StatusField(choices=SAGA_STATUSES, required=False, help_text="Sagas in it.")
    type = Words(max_length=100, required=False, help_text="Sagas of it.")
    created_after = serializers.DateTimeField(
        required=False, help_text="Sagas created then or later."
    )
    created_before = serializers.DateTimeField(required=False, help_text="Sagas created earlier.")
    search = Words(
        max_length=LONGEST,
        required=False,
        help_text="A saga's id, or the start of a type; if no type begins so, of a current "
        f"step; if no step does, of a reason. Refused where more than {MOST} reasons begin so.",
    )
    ordering = serializers.ChoiceField(
        choices=_ORDERS,
        default="-created_at",
        help_text=f"By `updated_at` no more than {MOST} sagas are put in order; where more match "
        "it is refused: ask for less, as by `status` or `created_after`.",
    )
    limit = Whole(min_value=1, max_value=MAX_LIMIT, default=50, help_text="Sagas on the page.")
    offset = Whole(
        min_value=0,
        max_value=MAX_OFFSET,
        default=0,
        help_text="Sagas before the page. To go further, follow `next`.",
    )
    after = serializers.UUIDField(
        required=False,
        help_text="The page begins after the saga of this id, in the order of creation; at any "
        "depth it costs the same.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse what has no meaning together."""
        if "after" in attrs and not _by_creation(attrs):
            raise serializers.ValidationError(
                {"after": ["It goes with an ordering by created_at alone."]}
            )
        return attrs


@extend_schema_serializer(many=False)
class PageSerializer(serializers.Serializer[Any]):
    """One page of sagas."""

    count = serializers.IntegerField(
        help_text=f"How many sagas match. Counting stops at {MOST}: see `count_is_exact`."
    )
    count_is_exact = serializers.BooleanField(help_text="If false, more than `count` match.")
    limit = serializers.IntegerField()
    offset = serializers.IntegerField()
    next = serializers.CharField(
        allow_null=True,
        help_text="The address of the next page, without the host; null if this is the last.",
    )
    results = SagaSummarySerializer(many=True)


def page_of(query: dict[str, Any]) -> dict[str, Any]:
    """The page that the validated query asks for, at a cost that is bounded.

    Raises ValidationError where it cannot be.
    """
    limit, offset = query["limit"], query["offset"]
    sagas = _matching(query)
    if not _by_creation(query) and _count(sagas) > MOST:
        raise _too_many("ordering")
    rows = list(_in_order(sagas, query)[offset : offset + limit + 1])
    if "after" not in query and (rows or not offset) and len(rows) <= limit:
        number = offset + len(rows)  # this is the last page
    else:
        number = _count(sagas)
    return {
        "count": min(number, MOST),
        "count_is_exact": number <= MOST,
        "limit": limit,
        "offset": offset,
        "next": _next(query, rows[limit - 1]) if len(rows) > limit else None,
        "results": rows[:limit],
    }


def _by_creation(query: dict[str, Any]) -> bool:
    return query["ordering"] in ("created_at", "-created_at")


def _matching(query: dict[str, Any]) -> QuerySet[Saga]:
    """The sagas that the validated query asks for, in no order."""
    sagas = Saga.objects.order_by()
    sagas = sagas.filter(**{name: query[name] for name in ("status", "type") if name in query})
    sagas = sagas.filter(created_between(query.get("created_after"), query.get("created_before")))
    return _found(sagas, query["search"]) if "search" in query else sagas


def _found(sagas: QuerySet[Saga], text: str) -> QuerySet[Saga]:
    """Those of the sagas that the text names; each kind of name has its index."""
    try:
        return sagas.filter(pk=UUID(text))
    except ValueError:
        pass
    start = text.lower()
    types = [name for name in known_types() if name.lower().startswith(start)]
    if types:
        return sagas.filter(type__in=types)
    steps = {step.name for executor in registry.all() for step in executor.steps}
    steps = {name for name in steps if name.lower().startswith(start)}
    if steps:
        return sagas.filter(status__in=_AT_A_STEP, current_step__in=steps)
    reasons = Saga.objects.order_by().exclude(reason="")
    reasons = reasons.alias(start=Upper(Left("reason", LONGEST)))
    named = reasons.filter(start__startswith=text.upper())
    if named[: MOST + 1].count() > MOST:
        raise _too_many("search")
    return sagas.filter(pk__in=named.values("pk")[:MOST])


def _too_many(parameter: str) -> serializers.ValidationError:
    told = f"More than {MOST} sagas match; ask for less, as by a status or created_after."
    return serializers.ValidationError({parameter: [told]})


def _in_order(sagas: QuerySet[Saga], query: dict[str, Any]) -> QuerySet[Saga]:
    order: str = query["ordering"]
    if not _by_creation(query):
        return sagas.order_by(order, "id")
    # Ids grow with time, so the primary key serves the usual order.
    back = order.startswith("-")
    if "after" in query:
        sagas = sagas.filter(**{"pk__lt" if back else "pk__gt": query["after"]})
    return sagas.order_by("-id" if back else "id")


def _count(sagas: QuerySet[Saga]) -> int:
    """How many there are, but no more than one above `MOST`.

    In the order of an index: in none, the table would be read from its start, to wherever they are.
    """
    return sagas.order_by("-id")[: MOST + 1].count()


def _next(query: dict[str, Any], last: Saga) -> str:
    """Where the list goes on after the page's last saga."""
    if _by_creation(query):
        place = {"offset": 0, "after": last.pk}
    else:
        place = {"offset": query["offset"] + query["limit"]}
    given = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in {**query, **place}.items()
    }
    return f"{reverse('saga-list')}?{urlencode(given)}"
