"""Who asks, and whether they may: API keys with scopes, and the console's sessions."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from rest_framework import authentication, exceptions, permissions, status
from rest_framework.request import Request

from sagas import services
from sagas.addresses import client_network
from sagas.api import throttling
from sagas.keys import PERMISSIONS, ApiKey, Scope

logger = logging.getLogger(__name__)

_CHALLENGE = 'Bearer realm="saga"'

SCOPES: Mapping[str, Scope] = {
    "list": Scope.READ,
    "retrieve": Scope.READ,
    "events": Scope.READ,
    "create": Scope.CREATE,
    "execute": Scope.EXECUTE,
    "compensate": Scope.COMPENSATE,
    "retry": Scope.RETRY,
}
"""What each action of the views needs. Their answers show the saga, also without `read`."""


class Unauthorized(exceptions.APIException):
    """There is no key, or none that is good; not told is whether one ever was."""

    status_code = status.HTTP_401_UNAUTHORIZED
    default_code = "unauthorized"

    def __init__(self, detail: str, error: str = "") -> None:
        super().__init__(detail)
        self.headers = {"WWW-Authenticate": _CHALLENGE + (f', error="{error}"' if error else "")}


class Forbidden(exceptions.PermissionDenied):
    """Who asks is known, and may not do this."""

    def __init__(self, detail: str, scope: Scope) -> None:
        super().__init__(detail)
        about = f', error="insufficient_scope", scope="{scope}"'
        self.headers = {"WWW-Authenticate": _CHALLENGE + about}


class ApiKeyAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer <key>`, or `X-Api-Key: <key>`. A key that is no good is refused."""

    def authenticate(self, request: Request) -> tuple[None, ApiKey] | None:
        """The key; None if there is none. Raises Unauthorized, or TooMany."""
        given = _given(request)
        if not given:
            return None
        key = services.api_key_of(given.pop()) if len(given) == 1 else None
        if key is None:
            throttling.count_refusal(request)
            logger.warning("API key refused", extra={"address": client_network(request)})
            raise Unauthorized("This API key is not valid.", "invalid_token")
        return None, key

    def authenticate_header(self, request: Request) -> str:
        """Makes a missing key a 401 rather than a 403."""
        return _CHALLENGE


def _given(request: Request) -> set[str]:
    """The keys that the request carries: one, unless its headers contradict each other."""
    given = set()
    scheme, *rest = request.META.get("HTTP_AUTHORIZATION", "").split(None, 1)[:2] or [""]
    if scheme.lower() == "bearer":
        given.add("".join(rest).strip())
    if "HTTP_X_API_KEY" in request.META:
        given.add(request.META["HTTP_X_API_KEY"].strip())
    return given


class SessionAuthentication(authentication.SessionAuthentication):
    """A console user's session, with CSRF protection."""

    def authenticate_header(self, request: Request) -> str:
        """Makes a missing login a 401 rather than a 403."""
        return "Session"


class WithinRate(permissions.BasePermission):
    """Counts the client's requests, those that are refused for their scope included."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """True. Raises TooMany."""
        if client := client_of(request):
            throttling.count_request(client)
        return True


class Scoped(permissions.BasePermission):
    """Lets in who may do what the view's action needs. Closed unless SAGA_API_OPEN is on."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """True. Raises Unauthorized or Forbidden."""
        action = getattr(view, "action", None)
        # A wrong method, and OPTIONS, are answered to whoever is known.
        require(request, None if action in (None, "metadata") else SCOPES[action])
        return True


def require(request: Request, scope: Scope | None) -> None:
    """Let those pass who may do this. Raises Unauthorized or Forbidden."""
    if isinstance(request.auth, ApiKey):
        if scope is not None and scope not in request.auth.granted:
            raise Forbidden(f"This API key lacks the scope {str(scope)!r}.", scope)
        return
    if settings.SAGA_API_OPEN:
        return
    if not _logged_in(request):
        raise Unauthorized("This needs an API key: `Authorization: Bearer …`, or `X-Api-Key`.")
    if scope is not None and not (
        request.user.is_staff and request.user.has_perm(PERMISSIONS[scope])
    ):
        raise Forbidden(f"You lack the permission {PERMISSIONS[scope]!r}.", scope)


def _logged_in(request: Request) -> bool:
    user = getattr(request, "user", None)
    return user is not None and user.is_authenticated


def client_of(request: Request) -> str:
    """Whose requests and idempotency keys these are; empty for who came in without a name."""
    if isinstance(request.auth, ApiKey):
        return request.auth.name
    return f"user:{request.user.get_username()}" if _logged_in(request) else ""


def actor_of(request: Request) -> str:
    """How the history names who asked."""
    client = client_of(request)
    return f"api:{client}" if isinstance(request.auth, ApiKey) else client or "api"
