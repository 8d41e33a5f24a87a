"""What every request passes: a request id, and problem documents for what fails outside DRF."""

from __future__ import annotations

import re
from collections.abc import Callable
from uuid import uuid4

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponseBase, UnreadablePostError
from structlog.contextvars import bound_contextvars

from sagas.api import problems
from sagas.api.tracing import trace_of
from sagas.engine.away import DATABASE_AWAY

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")

Handler = Callable[[HttpRequest], HttpResponseBase]


class RequestIdMiddleware:
    """Gives each request an id, its own X-Request-Id if that is sane, for logs and answer.

    Logs also have the trace that the client named.
    """

    def __init__(self, get_response: Handler) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid4().hex
        trace = trace_of(request)
        about = {"request_id": request_id} | ({"trace_id": trace.trace_id} if trace else {})
        with bound_contextvars(**about):
            answer = self._get_response(request)
        answer["X-Request-Id"] = request_id
        return answer


class ProblemMiddleware:
    """Answers what goes wrong outside the API's views, such as in a session, as they do."""

    def __init__(self, get_response: Handler) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        # PostgreSQL's text knows no NUL; left alone, a filter with one ends in an error there.
        if "%00" in request.META.get("QUERY_STRING", "") or "\0" in request.path:
            return problems.response(400, "The character U+0000 is not allowed in an address.")
        if any("\0" in value for value in request.COOKIES.values()):
            return problems.response(400, "The character U+0000 is not allowed in a cookie.")
        if "HTTP_TRANSFER_ENCODING" in request.META and not request.META.get("CONTENT_LENGTH"):
            # A WSGI application sees no end of such a body, and Django takes it for empty.
            return problems.response(411, "A body needs a Content-Length.")
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponseBase | None:
        """The answer to an exception of a view that DRF did not see."""
        if isinstance(error, RequestDataTooBig):
            return problems.response(413, "The body is too large.")
        if isinstance(error, UnreadablePostError):
            return problems.response(400, "The body did not arrive.")
        if isinstance(error, DATABASE_AWAY):
            answer = problems.response(503, "The database is away.")
            answer["Retry-After"] = problems.RETRY_AFTER
            return answer
        return None
