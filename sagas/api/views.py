"""The saga resource: thin views over the services."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.cache import cache
from django.http import HttpResponse, QueryDict
from django.urls import reverse
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from executors.reuse import checked
from executors.secrets import declared
from sagas import selectors, services
from sagas.api import documentation, documents, shown
from sagas.api.authentication import actor_of, client_of, require
from sagas.api.listing import ListQuery, PageSerializer, page_of
from sagas.api.parsers import CurlJSONParser, StrictJSONParser
from sagas.api.serializers import CreateSagaSerializer, OperationSerializer
from sagas.api.tracing import trace_of
from sagas.domain.state import Operation
from sagas.engine.away import cache_away
from sagas.keys import Scope
from sagas.models import Saga

_WAIT = re.compile(r"(?:^|[,;\s])wait=\"?(\d{1,4})\"?(?:$|[,;\s])", re.IGNORECASE)
# No comma: servers join a header that is sent twice with one, and two keys are none.
_KEY = re.compile(r"[\x21-\x2b\x2d-\x7e]{1,255}")


class SagaViewSet(ViewSet):
    """Sagas: create, list, read, and the operations on them."""

    parser_classes = (StrictJSONParser, CurlJSONParser)

    @property
    def default_response_headers(self) -> dict[str, str]:
        """What nobody may keep and show to another client."""
        return {**super().default_response_headers, "Cache-Control": "private, no-store"}

    @documentation.create
    def create(self, request: Request) -> HttpResponse:
        """Create a saga, and with `execute` start it."""
        _, body = checked(CreateSagaSerializer, request.data)
        if body["execute"]:
            require(request, Scope.EXECUTE)
        wait = _wait(request) if body["execute"] else 0
        created = services.create_saga(
            body["type"],
            body["data"],
            execute=body["execute"],
            actor=actor_of(request),
            client=client_of(request),
            idempotency_key=_idempotency_key(request),
            trace=trace_of(request),
            wait=wait,
        )
        # Relative to the host: only the client knows by which name it reached a gateway.
        headers = {"Location": reverse("saga-detail", kwargs={"saga_id": created.id})}
        if created.seen:
            headers["Preference-Applied"] = f"wait={wait}"
        if created.replayed:
            headers["Idempotency-Replayed"] = "true"
        return _answer(created.saga, status=201, headers=headers)

    @documentation.listing
    def list(self, request: Request) -> Response:
        """The sagas that match, newest first unless asked otherwise."""
        query = ListQuery(data=_once(request.query_params))
        query.is_valid(raise_exception=True)
        return Response(PageSerializer(page_of(query.validated_data)).data)

    @documentation.retrieve
    def retrieve(self, request: Request, saga_id: UUID) -> HttpResponse:
        """One saga with its steps and the operations now allowed."""
        return _json(_cached_document(saga_id))

    @documentation.events
    def events(self, request: Request, saga_id: UUID) -> HttpResponse:
        """The saga's history, oldest first."""
        events = list(selectors.saga_events(saga_id))
        if not events:
            raise services.SagaNotFound(str(saga_id))
        hide = shown.hiding_of(events)
        return _json(documents.rendered([documents.event(event, hide) for event in events]))

    @documentation.operation("execute")
    def execute(self, request: Request, saga_id: UUID) -> HttpResponse:
        """Start a pending saga."""
        return _operate(Operation.EXECUTE, request, saga_id)

    @documentation.operation("compensate")
    def compensate(self, request: Request, saga_id: UUID) -> HttpResponse:
        """Take back what the saga has done; a call in flight is finished first."""
        return _operate(Operation.COMPENSATE, request, saga_id)

    @documentation.operation("retry")
    def retry(self, request: Request, saga_id: UUID) -> HttpResponse:
        """Try a failed saga again where it stopped, or a compensated one from the start."""
        return _operate(Operation.RETRY, request, saga_id)


def _operate(operation: Operation, request: Request, saga_id: UUID) -> HttpResponse:
    _, body = checked(OperationSerializer, request.data)
    wait = _wait(request)
    saga = services.OPERATIONS[operation](saga_id, actor=actor_of(request), reason=body["reason"])
    seen = services.wait_until_ended(saga_id, wait) if wait else None
    if seen is None:
        return _answer(saga, status=202)
    status = 200 if services.has_ended(seen) else 202
    return _answer(seen, status=status, headers={"Preference-Applied": f"wait={wait}"})


def _answer(saga: Saga, *, status: int, headers: dict[str, str] | None = None) -> HttpResponse:
    return _json(documents.rendered(documents.saga(saga)), status=status, headers=headers)


def _json(body: bytes | str, **more: Any) -> HttpResponse:
    return HttpResponse(body, content_type="application/json", **more)


def _cached_document(saga_id: UUID) -> str:
    """The saga's document as it is sent, from the cache if it is there.

    The key has the number of the saga's last event, so that none is ever stale, and stands for
    the declared secrets, so that none was made when fewer were hidden.
    """
    try:
        key = f"saga-json:{saga_id}:{selectors.saga_seq(saga_id)}:{declared()}"
    except Saga.DoesNotExist:
        raise services.SagaNotFound(str(saga_id)) from None
    document = _from_cache(key)
    if document is None:
        document = documents.rendered(documents.saga(services.get_saga(saga_id))).decode()
        _to_cache(key, document)
    return document


def _from_cache(key: str) -> str | None:
    if cache_away:
        return None  # the database has it
    try:
        found: str | None = cache.get(key)
    except Exception:
        cache_away.note()
        return None
    return found


def _to_cache(key: str, document: str) -> None:
    if cache_away:
        return
    try:
        cache.set(key, document, timeout=300)
    except Exception:
        cache_away.note()


def _wait(request: Request) -> int:
    found = _WAIT.search(request.headers.get("Prefer", ""))
    return min(int(found[1]), settings.SAGA_MAX_WAIT) if found else 0


def _once(parameters: QueryDict) -> dict[str, str]:
    """Each parameter's value. Raises ValidationError for one that has several."""
    twice = [name for name, values in parameters.lists() if len(values) > 1]
    if twice:
        raise ValidationError({name[:100]: ["It may be given once."] for name in twice[:20]})
    return {name: values[0] for name, values in parameters.lists()}


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not _KEY.fullmatch(key):
        raise ValidationError(
            {"Idempotency-Key": ["It has 1 to 255 visible ASCII characters and no comma."]}
        )
    return key
