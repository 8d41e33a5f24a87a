"""Whether this process lives, and whether it can serve; and its metrics."""

from __future__ import annotations

from django.core.cache import cache
from django.db import connection
from django.http import HttpResponse
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

_stopping = False


def refuse_readiness() -> None:
    """Have /health/ready say no from now on: this process serves, but is about to end."""
    global _stopping
    _stopping = True  # and no more: this is called by a signal's handler


@documentation.live
@api_view(["GET", "HEAD"])
@authentication_classes([])
@permission_classes([AllowAny])
def live(request: Request) -> Response:
    """200 while the process can answer: what a supervisor restarts it by."""
    return Response({"status": "ok"})


@documentation.ready
@api_view(["GET", "HEAD"])
@authentication_classes([])
@permission_classes([AllowAny])
def ready(request: Request) -> Response:
    """200 while the database answers and this process is not about to end; what a gateway
    chooses it by. `database`, `cache` and `broker` say what is amiss.
    """
    answer = _readiness()
    if _stopping:
        answer.data["status"] = "stopping"
        answer.status_code = 503
    return answer


@documentation.health
@api_view(["GET", "HEAD"])
@authentication_classes([])
@permission_classes([AllowAny])
def health(request: Request) -> Response:
    """200 while the database answers; `database`, `cache` and `broker` say what is amiss."""
    return _readiness()


@documentation.metrics
@api_view(["GET", "HEAD"])
@authentication_classes([])
@permission_classes([AllowAny])
@renderer_classes([PlainTextRenderer])
def metrics(request: Request) -> HttpResponse:
    """The metrics of this instance's processes, and how all sagas stand now."""
    return HttpResponse(measured.exposition(), content_type=measured.CONTENT_TYPE)


def _readiness() -> Response:
    parts = {"database": _database(), "cache": _cache(), "broker": _broker()}
    if parts["database"] == "away":
        return Response({"status": "unavailable", **parts}, status=503)
    degraded = any(state != "ok" for state in parts.values())
    return Response({"status": "degraded" if degraded else "ok", **parts})


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
