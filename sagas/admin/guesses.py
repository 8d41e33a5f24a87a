"""Counts wrong log-ins, by name and by address.

Without the cache nobody is kept out: an outage is when operators need the console most.
"""

from __future__ import annotations

import hashlib

from sagas import limits

WINDOW = 15 * 60
"""Seconds after which counting begins anew."""

MOST_FOR_A_NAME, MOST_FROM_AN_ADDRESS = 10, 50
"""Wrong attempts in a window; behind one address may be a whole office."""


def count(name: str, address: str) -> int:
    """Count an attempt as wrong until `forget`; 0, or the seconds to wait as there were too many.

    It is counted before the password is looked at, so that many at once are not let through.
    """
    found = [
        limits.count(_by_name(name), WINDOW) > MOST_FOR_A_NAME,
        limits.count(_by_address(address), WINDOW) > MOST_FROM_AN_ADDRESS,
    ]
    return limits.left(WINDOW) if any(found) else 0


def forget(name: str, address: str) -> None:
    """The attempt was right: the name's count begins anew, the address's is without it."""
    limits.forget(_by_name(name), WINDOW)
    limits.take_back(_by_address(address), WINDOW)


def _by_name(name: str) -> str:
    # A digest: what is typed may be a password in the wrong field.
    return f"login-name:{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()}"


def _by_address(address: str) -> str:
    return f"login-from:{address}"
