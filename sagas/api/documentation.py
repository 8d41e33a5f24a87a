"""What the OpenAPI document says of each operation beyond what its code already tells.

A test keeps the committed openapi.yaml equal to the document that is made from here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from django.urls import get_script_prefix
from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
)

from sagas.api import schemes  # noqa: F401 - registers how one logs in
from sagas.api.listing import ListQuery, PageSerializer
from sagas.api.problems import CONTENT_TYPE, document
from sagas.api.serializers import (
    CreateSagaSerializer,
    EventSerializer,
    HealthSerializer,
    LiveSerializer,
    OperationSerializer,
    ProblemSerializer,
    SagaSerializer,
)
from sagas.keys import Scope

_ORDER = {
    "store_id": 1,
    "customer_id": 123,
    "items": [{"product_id": 456, "quantity": 2, "price": 29.99}],
    "amount": 59.98,
}
_PURCHASE = {"type": "purchase_saga", "data": {**_ORDER, "payment_method": "credit_card"}}
_RETURN = {
    "type": "return_saga",
    "data": {**_ORDER, "sale_id": "8c2ffa2e-7c0f-4b4e-a4b7-0d8a3a0c6d55"},
    "execute": True,
}
_TEXT = {"type": "string"}


def _header(
    name: str, description: str, schema: dict[str, str], on: Sequence[int] = ()
) -> OpenApiParameter:
    """A header of the request, or of the responses of these statuses."""
    return OpenApiParameter(name, schema, "header", description=description, response=on or False)


_KEY = _header(
    "Idempotency-Key",
    "1 to 255 visible ASCII characters, without a comma. A repeated request with the same key and "
    "body gives the first saga again; another body under the same key is refused.",
    {**_TEXT, "pattern": "^[!-+\\--~]{1,255}$"},
)
_TRACE = _header(
    "traceparent",
    "W3C trace context, with `tracestate`: the saga's calls become part of this trace. One that "
    "is not valid is ignored.",
    {**_TEXT, "example": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
)
_REPLAYED = _header(
    "Idempotency-Replayed", "`true` when an earlier request made the saga.", _TEXT, [201]
)
_LOCATION = _header("Location", "The saga's address.", {**_TEXT, "format": "uri-reference"}, [201])
_PREFER = _header(
    "Prefer",
    "`wait=N` (RFC 7240): answer when the saga has ended, at most N seconds later. Half of the "
    "API's threads at most wait at once: beyond that the answer comes at once, without "
    "`Preference-Applied`, and the client asks again.",
    {**_TEXT, "example": "wait=10"},
)
_APPLIED = _header("Preference-Applied", "How long was waited at most.", _TEXT, [200, 201, 202])
_RETRY_AFTER = _header(
    "Retry-After", "Seconds to wait before asking again.", {"type": "integer"}, [429, 503]
)
_CHALLENGE = _header("WWW-Authenticate", "What is wrong (RFC 6750).", _TEXT, [401, 403])
_RATE = [
    _header(f"RateLimit-{name}", description, {"type": "integer"}, [429])
    for name, description in (
        ("Limit", "Requests that are allowed in a minute."),
        ("Remaining", "How many of them are left: none."),
        ("Reset", "Seconds until the next minute begins."),
    )
]

_ID = OpenApiParameter("saga_id", OpenApiTypes.UUID, "path")

Responses = dict[Any, OpenApiResponse]
View = TypeVar("View", bound=Callable[..., Any])


class Documented(Protocol):
    """Documents a view and leaves it as it is."""

    def __call__(self, view: View, /) -> View:
        """The view."""
        ...


def _problem(status: int | str, description: str, **example: Any) -> Responses:
    """A documented error; `detail` and the members after it make an example."""
    examples = []
    if example and isinstance(status, int):
        value = document(status, **example)
        examples = [OpenApiExample(value["title"], value=value, response_only=True)]
    return {(status, CONTENT_TYPE): OpenApiResponse(ProblemSerializer, description, examples)}


def _ok(status: int, serializer: Any, description: str) -> Responses:
    return {status: OpenApiResponse(serializer, description)}


def _guarded(scope: Scope) -> Responses:
    return {
        **_problem(401, "There is no API key, or none that is valid."),
        **_problem(
            403,
            f"The key lacks the scope `{scope}`, or the console's user the permission.",
            detail=f"This API key lacks the scope '{scope}'.",
        ),
        **_problem(429, "Too many requests of this client, or keys that are not valid."),
    }


_ANY = {
    **_problem(503, "The database is away; ask again later."),
    **_problem("default", "Any other error."),
}
_NOT_FOUND = _problem(404, "There is no such saga.")
_BODY = {
    **_problem(400, "The request is not valid."),
    **_problem(413, "The body is too large."),
    **_problem(415, "The body is not JSON."),
}


def _sagas(
    operation_id: str, scope: Scope, *headers: Any, responses: Responses, **more: Any
) -> Documented:
    """An operation on sagas; it needs a scope, and names its body's one media type."""
    if "request" in more:
        more["request"] = {"application/json": more["request"]}
    return extend_schema(
        operation_id=operation_id,
        tags=["sagas"],
        parameters=[*headers, _RETRY_AFTER, _CHALLENGE, *_RATE],
        responses={**responses, **_guarded(scope), **_ANY},
        **more,
    )


class _StrictSchema(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """Says of a body that refuses fields which it does not know that it does."""

    target_class = "executors.fields.StrictSerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        schema = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return {**schema, "additionalProperties": False}


create = _sagas(
    "create_saga",
    Scope.CREATE,
    _KEY,
    _TRACE,
    _REPLAYED,
    _LOCATION,
    _APPLIED,
    _PREFER,
    request=CreateSagaSerializer,
    examples=[
        OpenApiExample("Purchase", value=_PURCHASE, request_only=True),
        OpenApiExample("Return", value=_RETURN, request_only=True),
    ],
    responses={
        **_ok(201, SagaSerializer, "The saga: a new one, or an earlier request's."),
        **_BODY,
        **_problem(
            400,
            "The request is not valid.",
            detail="The data does not fit the saga type.",
            errors={"data": {"amount": ["The items come to 59.98, not to 10.00."]}},
        ),
        **_problem(422, "The Idempotency-Key was used with another body; no saga was made."),
    },
)
listing = _sagas(
    "list_sagas",
    Scope.READ,
    ListQuery,
    responses={
        **_ok(200, PageSerializer, "One page."),
        **_problem(400, "A parameter is not valid."),
    },
)
retrieve = _sagas(
    "get_saga",
    Scope.READ,
    _ID,
    responses={**_ok(200, SagaSerializer, "The saga as it is now."), **_NOT_FOUND},
)
events = _sagas(
    "list_saga_events",
    Scope.READ,
    _ID,
    responses={**_ok(200, EventSerializer(many=True), "All events."), **_NOT_FOUND},
)


def operation(name: str) -> Documented:
    """Documents execute, compensate or retry."""
    return _sagas(
        f"{name}_saga",
        Scope(name),
        _ID,
        _PREFER,
        _APPLIED,
        request=OperationSerializer,
        examples=[
            OpenApiExample("Reason", value={"reason": "The customer called."}, request_only=True)
        ],
        responses={
            **_ok(200, SagaSerializer, "It ended within the time of `Prefer: wait`."),
            **_ok(202, SagaSerializer, "Accepted; the saga goes on by itself."),
            **_BODY,
            **_NOT_FOUND,
            **_problem(
                409,
                "The saga's status does not allow it.",
                detail="Not possible now: a completed saga can only be compensated.",
                saga_status="completed",
                allowed_operations=["compensate"],
            ),
        },
    )


def _monitoring(operation_id: str, summary: str, responses: Responses) -> Documented:
    return extend_schema(
        operation_id=operation_id,
        tags=["monitoring"],
        auth=[],
        summary=summary,
        responses=responses,
    )


_HEALTH = {
    **_ok(200, HealthSerializer, "It can serve."),
    **_ok(503, HealthSerializer, "The database is away."),
}
_READY = _HEALTH | _ok(503, HealthSerializer, "The database is away, or this process is to end.")
live = _monitoring(
    "get_liveness", "Whether this process lives", _ok(200, LiveSerializer, "It does.")
)
ready = _monitoring("get_readiness", "Whether this process can serve", _READY)
health = _monitoring("get_health", "As /health/ready, also of a process that is to end", _HEALTH)
metrics = _monitoring(
    "get_metrics",
    "Metrics in Prometheus' text format",
    {(200, "text/plain"): OpenApiResponse(OpenApiTypes.STR, "All metrics.")},
)


def add_server(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Names the address under which the document was asked for, a gateway's prefix included."""
    result["servers"] = [{"url": get_script_prefix().rstrip("/") or "/"}]
    return result
