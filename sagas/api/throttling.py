"""How often a client may ask, counted in the shared cache for each minute of the clock.

What is counted can be done without: while the cache is away, everybody is let through.
"""

from __future__ import annotations

from django.conf import settings
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from sagas import limits
from sagas.addresses import client_network

_MINUTE = 60
MOST_REFUSED = 30
"""Bad keys from one address in a minute that are answered 401; later ones are answered 429."""


class TooMany(APIException):
    """More than is allowed in a minute."""

    status_code = status.HTTP_429_TOO_MANY_REQUESTS
    default_code = "too_many"

    def __init__(self, detail: str, *, limit: int, left: int) -> None:
        super().__init__(detail)
        self.headers = {
            "Retry-After": str(left),
            "RateLimit-Limit": str(limit),
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": str(left),
        }


def count_request(client: str) -> None:
    """Count a request of the client. Raises TooMany."""
    if settings.SAGA_API_RATE:
        detail = f"A client may make {settings.SAGA_API_RATE} requests a minute."
        _count(f"api-rate:{client}", settings.SAGA_API_RATE, detail)


def count_refusal(request: Request) -> None:
    """Count a key that was no good, for its address. Raises TooMany.

    A good key is never counted, nor held up by others' bad ones: its 32 random bytes keep it from
    being guessed, and this keeps those who try from being told, and logged, at full speed.
    """
    _count(
        f"api-refused:{client_network(request)}", MOST_REFUSED, "Too many API keys were not valid."
    )


def _count(what: str, limit: int, detail: str) -> None:
    if limits.count(what, _MINUTE) > limit:
        raise TooMany(detail, limit=limit, left=limits.left(_MINUTE))
