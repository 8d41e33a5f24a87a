"""The Retry-After header (RFC 9110, section 10.2.3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime


def parse_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """The wait that is asked for, from seconds or an HTTP date; None if it asks for none.

    What cannot be understood, or lies in the past, is as good as absent: the participant's
    wish only ever lengthens our own wait.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        # Ten digits are three centuries; more would overflow, and is capped later anyway.
        return timedelta(seconds=int(value[:10]) if len(value) <= 10 else 10**9)
    try:
        at = parsedate_to_datetime(value)
        wait = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    except (ValueError, TypeError, OverflowError):
        return None
    return wait if wait > timedelta(0) else None
