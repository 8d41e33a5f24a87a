"""Every error of the service as a problem document (RFC 9457)."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, UnreadablePostError
from django.views import defaults
from rest_framework import exceptions
from rest_framework.views import set_rollback

from sagas import services
from sagas.engine.away import DATABASE_AWAY

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER = "5"
"""Seconds after which a client may ask again while the database is away."""


def document(status: int, detail: str, **more: Any) -> dict[str, Any]:
    """The members of a problem document; `type` is about:blank, so the title is the status's."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **more,
    }


def response(status: int, detail: str, **more: Any) -> HttpResponse:
    """A problem as JSON, whatever the view's renderers are."""
    body = json.dumps(document(status, detail, **more))
    return HttpResponse(body, content_type=CONTENT_TYPE, status=status)


def exception_handler(error: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """DRF's hook: the problem that an exception becomes; None for a bug."""
    known = _problem(error)
    if known is None:
        return None
    status, detail, more, headers = known
    set_rollback()
    answer = response(status, detail, **more)
    for name, value in headers.items():
        answer[name] = value
    return answer


Problem = tuple[int, str, dict[str, Any], dict[str, str]]


def _problem(error: Exception) -> Problem | None:
    match error:
        case services.SagaNotFound() | Http404():
            return 404, "There is no such saga.", {}, {}
        case services.UnknownSagaType():
            detail = f"There is no saga type {str(error)[:100]!r}."
            return 400, detail, {"errors": {"type": ["This saga type is not known."]}}, {}
        case services.InvalidData():
            detail = "The data does not fit the saga type."
            return 400, detail, {"errors": {"data": error.errors}}, {}
        case services.KeyReused():
            detail = "This Idempotency-Key was used before with another body."
            return 422, detail, {}, {}
        case services.NotAllowed():
            more = {"saga_status": error.status, "allowed_operations": error.allowed}
            return 409, f"Not possible now: {error}.", more, {}
        case services.NeedsApproval():
            return 403, f"Not from here: {error}, in the console.", {}, {}
        case PermissionDenied():
            return 403, "You may not do this.", {}, {}
        case _ if isinstance(error, DATABASE_AWAY):
            logger.error("database away: %s", error)
            detail = "The database is away, or takes no writes; nothing is known to have changed."
            return 503, detail, {}, {"Retry-After": RETRY_AFTER}
        case UnreadablePostError():
            return 400, "The body did not arrive.", {}, {}
        case exceptions.ValidationError():
            return 400, "The request is not valid.", {"errors": _errors(error.detail)}, {}
        case exceptions.APIException():
            return _api_problem(error)
    return None


def _errors(detail: Any) -> Any:
    return detail if isinstance(detail, dict) else {"non_field_errors": detail}


def _api_problem(error: exceptions.APIException) -> Problem:
    headers: dict[str, str] = dict(getattr(error, "headers", {}))
    if auth_header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = auth_header
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait))
    return error.status_code, str(error.detail), {}, headers


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's 400; a page for people in the console."""
    if in_console(request):
        return defaults.bad_request(request, exception)
    return response(400, "The request could not be understood.")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's 403; a page for people in the console."""
    if in_console(request):
        return defaults.permission_denied(request, exception)
    return response(403, "You may not do this.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's 404; a page for people in the console."""
    if in_console(request):
        return defaults.page_not_found(request, exception)
    return response(404, "There is nothing at this address.")


def in_console(request: HttpRequest) -> bool:
    """Whether a person's page is asked for, and not the API."""
    return request.path_info.startswith("/admin/")


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's 500: a bug; the log has it, the client gets no detail."""
    return response(500, "Something went wrong here; it has been logged.")
