"""The list's query: filters, order and pages, validated before they reach the database."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from executors.fields import StrictSerializer, Text, Whole
from sagas.api.serializers import SAGA_STATUSES, SagaSummarySerializer
from sagas.models import Saga
from sagas.selectors import id_or_start

MAX_LIMIT = 200
MAX_OFFSET = 1_000_000

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
        max_length=100,
        required=False,
        help_text="A saga's id, or the start of a type, a current step or a reason.",
    )
    ordering = serializers.ChoiceField(choices=_ORDERS, default="-created_at")
    limit = Whole(min_value=1, max_value=MAX_LIMIT, default=50, help_text="Sagas on the page.")
    offset = Whole(min_value=0, max_value=MAX_OFFSET, default=0, help_text="Sagas before the page.")


@extend_schema_serializer(many=False)
class PageSerializer(serializers.Serializer[Any]):
    """One page of sagas."""

    count = serializers.IntegerField(help_text="How many sagas match.")
    limit = serializers.IntegerField()
    offset = serializers.IntegerField()
    results = SagaSummarySerializer(many=True)


def matching(query: dict[str, Any]) -> QuerySet[Saga]:
    """The sagas that the validated query asks for, in its order."""
    sagas = Saga.objects.all()
    for name, lookup in (
        ("status", "status"),
        ("type", "type"),
        ("created_after", "created_at__gte"),
        ("created_before", "created_at__lt"),
    ):
        if name in query:
            sagas = sagas.filter(**{lookup: query[name]})
    if "search" in query:
        sagas = sagas.filter(id_or_start(query["search"], "type", "current_step", "reason"))
    order = query["ordering"]
    # Ids grow with time, so the primary key serves the usual order.
    order = {"created_at": "id", "-created_at": "-id"}.get(order, order)
    return sagas.order_by(order, "id") if "id" not in order else sagas.order_by(order)
