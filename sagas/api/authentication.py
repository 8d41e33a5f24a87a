"""Who asks."""

from __future__ import annotations

from rest_framework import authentication
from rest_framework.request import Request


class SessionAuthentication(authentication.SessionAuthentication):
    """A console user's session, with CSRF protection; other clients are anonymous."""

    def authenticate_header(self, request: Request) -> str:
        """Makes a missing login a 401 rather than a 403."""
        return "Session"


def actor_of(request: Request) -> str:
    """How the history names who asked."""
    user = getattr(request, "user", None)
    return f"user:{user.get_username()}" if user is not None and user.is_authenticated else "api"
