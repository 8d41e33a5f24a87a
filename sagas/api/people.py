"""Django's middlewares of sessions and forms, for requests that may be a person's.

Programs that call the API, gateways and monitors have no session: they need not pay for one.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.locale import LocaleMiddleware
from django.utils import translation
from django.utils.deprecation import MiddlewareMixin

from sagas.api import problems


def may_be_a_persons(request: HttpRequest) -> bool:
    """Whether it is for a page of the console, or may carry a session of it."""
    return problems.in_console(request) or bool(request.META.get("HTTP_COOKIE"))


class _ForPeople(MiddlewareMixin):
    """Lets the requests of programs pass."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if may_be_a_persons(request):
            return super().__call__(request)  # type: ignore[return-value]  # no coroutine under WSGI
        return self.get_response(request)  # type: ignore[return-value]


class Sessions(_ForPeople, SessionMiddleware):
    """The session of the request's cookie."""


class Forms(_ForPeople, CsrfViewMiddleware):
    """Refuses forms that another site had a person send."""


class Users(_ForPeople, AuthenticationMiddleware):
    """The user of the session."""


class Messages(_ForPeople, MessageMiddleware):
    """What the next page is to tell its reader."""


class Language(LocaleMiddleware):
    """The console in its reader's language; the API, which programs read, always in English."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if problems.in_console(request):
            return super().__call__(request)  # type: ignore[return-value]
        translation.activate(settings.LANGUAGE_CODE)
        return self.get_response(request)  # type: ignore[return-value]
