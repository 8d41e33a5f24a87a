"""Where a request comes from."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """The client's IP address: as the outermost of the trusted proxies saw it.

    Each proxy appends to X-Forwarded-For whom it was asked by; what stands before the entries of
    those SAGA_TRUSTED_PROXIES, a client may have written itself.
    """
    trusted: int = getattr(settings, "SAGA_TRUSTED_PROXIES", 0)
    told = request.headers.get("X-Forwarded-For", "").split(",") if trusted else []
    hops = [each.strip() for each in told if each.strip()]
    if hops:
        return hops[-min(trusted, len(hops))]
    return str(request.META.get("REMOTE_ADDR", ""))
