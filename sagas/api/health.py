"""Whether this process lives, and whether it can serve; and its metrics."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from threading import Lock
from time import monotonic
from typing import Any

from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from rest_framework.decorators import (
    api_view,
    authentication_classes,
    permission_classes,
    renderer_classes,
)
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from sagas import metrics as measured
from sagas.api import documentation
from sagas.api.negotiation import PlainTextRenderer
from sagas.broker import backlog

SHARED = 0.1
"""Seconds for which one look at the servers does for all who ask: monitors may ask at any rate."""

_stopping = False


def refuse_readiness() -> None:
    """Have /health/ready say no from now on: this process serves, but is about to end."""
    global _stopping
    _stopping = True  # and no more: this is called by a signal's handler


Answer = tuple[int, dict[str, str]]


def _straight(answer: Callable[[], Answer]) -> Callable[[Any], Any]:
    """Have GET and HEAD answered with no more ado; the view is for what else is asked for."""

    def around(view: Any) -> Any:
        @wraps(view)
        def found(request: HttpRequest) -> HttpResponseBase:
            accepted = request.META.get("HTTP_ACCEPT", "*/*")
            if request.method not in ("GET", "HEAD") or accepted not in _ANY:
                return view(request)  # type: ignore[no-any-return]
            status, said = answer()
            body = json.dumps(said, separators=(",", ":"))
            return HttpResponse(body, content_type="application/json", status=status)

        return found

    return around


_ANY = ("*/*", "application/json")


def _live() -> Answer:
    return 200, {"status": "ok"}


def _ready() -> Answer:
    status, said = _health()
    return (503, said | {"status": "stopping"}) if _stopping else (status, said)


def _health() -> Answer:
    parts = _parts.latest()
    if parts["database"] == "away":
        return 503, {"status": "unavailable", **parts}
    degraded = any(state != "ok" for state in parts.values())
    return 200, {"status": "degraded" if degraded else "ok", **parts}


@_straight(_live)
@documentation.live
@api_view(["GET", "HEAD"])
@authentication_classes([])
@permission_classes([AllowAny])
def live(request: Request) -> Response:
    """200 while the process can answer: what a supervisor restarts it by."""
    status, said = _live()
    return Response(said, status=status)


@_straight(_ready)
@documentation.ready
@api_view(["GET", "HEAD"])
@authentication_classes([])
@permission_classes([AllowAny])
def ready(request: Request) -> Response:
    """200 while the database answers and this process is not about to end; what a gateway
    chooses it by. `database`, `cache` and `broker` say what is amiss.
    """
    status, said = _ready()
    return Response(said, status=status)


@_straight(_health)
@documentation.health
@api_view(["GET", "HEAD"])
@authentication_classes([])
@permission_classes([AllowAny])
def health(request: Request) -> Response:
    """200 while the database answers; `database`, `cache` and `broker` say what is amiss."""
    status, said = _health()
    return Response(said, status=status)


@documentation.metrics
@api_view(["GET", "HEAD"])
@authentication_classes([])
@permission_classes([AllowAny])
@renderer_classes([PlainTextRenderer])
def metrics(request: Request) -> HttpResponse:
    """The metrics of this instance's processes, and how all sagas stand now."""
    return HttpResponse(measured.exposition(), content_type=measured.CONTENT_TYPE)


class Parts:
    """The states of the servers, as they were when somebody asked, or SHARED seconds before that.

    Who comes while another looks waits for what that one sees: a server that hangs holds each
    thread up once, and is asked once.
    """

    def __init__(self) -> None:
        self._looking = Lock()
        self._seen: dict[str, str] = {}
        self._seen_at = 0.0

    def latest(self) -> dict[str, str]:
        """The states."""
        oldest = monotonic() - SHARED
        with self._looking:
            if not self._seen or self._seen_at < oldest:
                self._seen = {"database": _database(), "cache": _cache(), "broker": _broker()}
                self._seen_at = monotonic()
            return self._seen

    def forget(self) -> None:
        """Have the next one look."""
        self._seen = {}


_parts = Parts()
forget = _parts.forget


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            if connection.vendor != "postgresql":
                return "ok"
            cursor.execute("SHOW transaction_read_only")
            (read_only,) = cursor.fetchone()
    except Exception:
        connection.close()
        return "away"
    return "read_only" if read_only == "on" else "ok"


def _cache() -> str:
    try:
        cache.set("health", 1, timeout=5)
    except Exception:
        return "away"
    return "ok"


def _broker() -> str:
    try:
        backlog()
    except Exception:
        return "away"
    return "ok"
