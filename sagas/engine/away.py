"""Servers that are away: how the database says so, and leaving the cache alone meanwhile."""

from __future__ import annotations

import time

from django.db import InterfaceError, InternalError, OperationalError

DATABASE_AWAY = (OperationalError, InterfaceError, InternalError)
"""The errors of a database that is away, or (the last) became a read-only replica."""

_MOMENT = 2.0


class Away:
    """Remembers for a moment that a server did not answer.

    What is kept in the cache can be done without, and each try may take as long as its time-out:
    one that hangs would hold up every saga and every client, again and again.
    """

    def __init__(self, seconds: float = _MOMENT) -> None:
        self._seconds = seconds
        self._until = 0.0

    def __bool__(self) -> bool:
        return time.monotonic() < self._until

    def note(self) -> None:
        """It did not answer just now."""
        self._until = time.monotonic() + self._seconds

    def forget(self) -> None:
        """Take it for well again."""
        self._until = 0.0


cache_away = Away()
"""Whether the cache did not answer this process just now."""
