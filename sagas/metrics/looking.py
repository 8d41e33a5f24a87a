"""Asks a server how things stand without ever waiting for it for long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from threading import Lock, Thread

from django.db import connections
from prometheus_client.core import Metric

_FRESH = 3.0
"""Seconds for which what was found is shown again: so often at most a process asks."""


class Look:
    """What one server says. It is asked in a thread of its own: one that hangs holds up nobody."""

    def __init__(self, name: str, read: Callable[[], Iterable[Metric]]) -> None:
        self.name = name
        self._read = read
        self._lock = Lock()
        self._thread: Thread | None = None
        self._hangs = False
        self._found: list[Metric] | None = None
        self._until = 0.0

    def begin(self) -> None:
        """Ask, unless that was done a moment ago or is being done."""
        with self._lock:
            if self._thread is None and time.monotonic() >= self._until:
                thread = Thread(target=self._ask, name=f"look-{self.name}", daemon=True)
                thread.start()  # may fail, and is tried again with the next look
                self._thread = thread

    def found(self, until: float) -> list[Metric] | None:
        """What it says now; None: it is away, or has not answered by then (monotonic clock).

        Who asks again while an answer is overdue is told so at once.
        """
        thread = self._thread
        if thread is None:
            return self._found
        if not self._hangs:
            thread.join(max(0.0, until - time.monotonic()))
        with self._lock:
            self._hangs = self._thread is thread
            return None if self._hangs else self._found

    def _ask(self) -> None:
        try:
            found = list(self._read())
        except Exception:  # whatever it is: the gauge for it says that it is away
            found = None
        finally:
            connections.close_all()  # this thread's
        with self._lock:
            self._found = found
            self._until = time.monotonic() + _FRESH
            self._hangs = False
            self._thread = None
