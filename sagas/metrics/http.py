"""What is counted of HTTP requests, with labels that clients cannot multiply."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from time import perf_counter
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from prometheus_client import Counter, Histogram

REQUESTS = Counter(
    "django_http_requests_total_by_view_transport_method",
    "Requests by view, transport and method.",
    ["view", "transport", "method"],
)
RESPONSES = Counter(
    "django_http_responses_total_by_status_view_method",
    "Responses by status, view and method.",
    ["status", "view", "method"],
)
LATENCY = Histogram(
    "django_http_requests_latency_seconds_by_view_method",
    "How long views took.",
    ["view", "method"],
    buckets=(
        *(0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75),
        *(1.0, 2.5, 5.0, 7.5, 10.0, 25.0, 50.0, 75.0),
    ),
)
"""The names are those of django_prometheus, by which dashboards and rules know them."""

_METHODS = frozenset(
    ("GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "OPTIONS", "CONNECT", "PATCH")
)


class MetricsMiddleware:
    """Counts each request that reached the views, and how long its view took."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        began = perf_counter()
        answer = self._get_response(request)
        match = request.resolver_match
        method = request.method if request.method in _METHODS else "<invalid method>"
        view = match.view_name or "<unnamed view>" if match else ""
        requests, responses, latency = _counters(view, request.scheme, method, answer.status_code)
        if match:
            requests.inc()
        responses.inc()
        latency.observe(perf_counter() - began)
        return answer


@lru_cache(maxsize=1024)
def _counters(view: str, transport: str | None, method: str | None, status: int) -> Any:
    """The three for these labels: looking for them costs more than counting."""
    named = view or "<unnamed view>"
    return (
        REQUESTS.labels(named, transport, method) if view else None,
        RESPONSES.labels(str(status), named, method),
        LATENCY.labels(named, method),
    )
