"""Where a request comes from."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """The client's IP address: as the outermost of the trusted proxies saw it.

    Each proxy appends to X-Forwarded-For whom it was asked by; what stands before the entries of
    those SAGA_TRUSTED_PROXIES, a client may have written itself.
    """
    trusted: int = settings.SAGA_TRUSTED_PROXIES
    told = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if trusted else []
    hops = [each.strip() for each in told if each.strip()]
    if hops:
        return str(hops[-min(trusted, len(hops))])
    return str(request.META.get("REMOTE_ADDR", ""))


def client_network(request: HttpRequest) -> str:
    """What one client has: an IPv4 address, or the /64 of an IPv6 one; "unknown" is neither."""
    try:
        known = ip_address(client_address(request))
    except ValueError:
        return "unknown"
    return str(ip_network((known, 64), strict=False) if isinstance(known, IPv6Address) else known)
