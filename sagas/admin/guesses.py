"""Counts wrong log-ins, by name and by address, in the cache that all processes share.

Without the cache nobody is kept out: an outage is when operators need the console most.
"""

from __future__ import annotations

import hashlib
import ipaddress
from contextlib import suppress
from time import time

from django.core.cache import cache

from sagas.engine.away import cache_away

WINDOW = 15 * 60
"""Seconds after which counting begins anew."""

MOST_FOR_A_NAME, MOST_FROM_AN_ADDRESS = 10, 50
"""Wrong attempts in a window; behind one address may be a whole office."""


def count(name: str, address: str) -> int:
    """Count an attempt as wrong until `forget`; 0, or the seconds to wait as there were too many.

    It is counted before the password is looked at, so that many at once are not let through.
    """
    if cache_away:
        return 0
    now = time()
    try:
        late = [_counted(key) > most for key, most in _keys(name, address, now)]
    except Exception:
        cache_away.note()
        return 0
    return int(WINDOW - now % WINDOW) + 1 if any(late) else 0


def forget(name: str, address: str) -> None:
    """The attempt was right: the name's count begins anew, the address's is without it."""
    (by_name, _), (by_address, _) = _keys(name, address, time())
    with suppress(Exception):
        cache.delete(by_name)
        cache.decr(by_address)


def _keys(name: str, address: str, now: float) -> list[tuple[str, int]]:
    """The names of the counters of this window, and their limits."""
    limits = (("name", name, MOST_FOR_A_NAME), ("from", _network(address), MOST_FROM_AN_ADDRESS))
    return [(_key(kind, value, now), most) for kind, value, most in limits]


def _key(kind: str, value: str, now: float) -> str:
    # A digest: what is typed may be a password in the wrong field.
    digest = hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()
    return f"login:{kind}:{int(now // WINDOW)}:{digest}"


def _counted(key: str) -> int:
    cache.add(key, 0, timeout=WINDOW)
    try:
        return int(cache.incr(key))
    except ValueError:  # evicted in between
        return 1


def _network(address: str) -> str:
    """The address; of IPv6 the /64 that a single client has."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return address
    return str(ipaddress.ip_network((found, 64), strict=False))
