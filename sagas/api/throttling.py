"""How often a client may ask, counted in the shared cache for each minute of the clock.

What is counted can be done without: while the cache is away, everybody is let through.
"""

from __future__ import annotations

import time
from ipaddress import IPv6Address, ip_address, ip_network

from django.conf import settings
from django.core.cache import cache
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from sagas.engine.away import cache_away

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
    _count(f"api-refused:{address(request)}", MOST_REFUSED, "Too many API keys were not valid.")


def address(request: Request) -> str:
    """Where the request comes from: a client's address, or the network of an IPv6 one.

    What X-Forwarded-For says is believed as far as our own proxies wrote it.
    """
    found: str = request.META.get("REMOTE_ADDR", "")
    proxies = settings.SAGA_TRUSTED_PROXIES
    said = [each.strip() for each in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    if 0 < proxies <= len(said) and said[-proxies]:
        found = said[-proxies]
    try:
        known = ip_address(found)
    except ValueError:
        return "unknown"
    if isinstance(known, IPv6Address):
        return str(ip_network((known, 64), strict=False))  # one customer has them all
    return str(known)


def _count(what: str, limit: int, detail: str) -> None:
    minute, second = divmod(int(time.time()), _MINUTE)
    number = _counted(f"{what}:{minute}")
    if number > limit:
        raise TooMany(detail, limit=limit, left=_MINUTE - second)


def _counted(key: str) -> int:
    """How often it was counted, this time included; 0 while the cache is away."""
    if cache_away:
        return 0
    try:
        try:
            return int(cache.incr(key))
        except ValueError:  # the first of its minute
            return 1 if cache.add(key, 1, timeout=2 * _MINUTE) else int(cache.incr(key))
    except Exception:
        cache_away.note()
        return 0
