"""The trace that a request is part of, as its headers say (W3C trace context)."""

from __future__ import annotations

from django.http import HttpRequest
from rest_framework.request import Request

from sagas.domain import trace


def trace_of(request: HttpRequest | Request) -> trace.Trace | None:
    """The trace; None without headers, or with wrong ones, which are never refused."""
    headers = request.META
    return trace.read(headers.get("HTTP_TRACEPARENT", ""), headers.get("HTTP_TRACESTATE", ""))
