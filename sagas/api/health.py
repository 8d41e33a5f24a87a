"""Whether this process lives, and whether it can serve; and its metrics."""

from __future__ import annotations

from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from django_prometheus.exports import ExportToDjangoView

from sagas.broker import backlog


@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """200 while the process can answer at all: what a supervisor restarts it by."""
    return JsonResponse({"status": "ok"})


@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """200 while the database answers; a missing cache or broker only slows sagas down."""
    parts = {"database": _database(), "cache": _cache(), "broker": _broker()}
    if parts["database"] != "ok":
        return JsonResponse({"status": "unavailable", **parts}, status=503)
    degraded = any(state != "ok" for state in parts.values())
    return JsonResponse({"status": "degraded" if degraded else "ok", **parts})


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The metrics of all processes that share this one's metrics folder."""
    answer: HttpResponse = ExportToDjangoView(request)
    return answer


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Exception:
        connection.close()
        return "away"
    return "ok"


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
