"""Nobody who asks over HTTP waits for ever for a database that hangs."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase

from sagaproject.postgresql import patience
from sagas.api.problems import in_console
from sagas.api.security import Handler

_PROGRAMS, _PEOPLE = 8.0, 30.0
"""Seconds for a statement; a search among many sagas may take a person's time."""


class PatienceMiddleware:
    """Bounds the wait for each statement of a request; it becomes a 503."""

    def __init__(self, get_response: Handler) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with patience.at_most(_PEOPLE if in_console(request) else _PROGRAMS):
            return self._get_response(request)
