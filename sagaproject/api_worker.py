"""The gunicorn worker of the API: told to stop, it is left out of the gateway's choice first, and
lets nobody wait for a saga's end.
"""

from __future__ import annotations

import signal
from mmap import mmap
from types import FrameType
from typing import Any

from django.conf import settings
from gunicorn.workers.gthread import ThreadWorker

_replaced = memoryview(mmap(-1, 8)).cast("q")
"""Shared with the processes forked from this one: how old are those that a reload replaces."""


def replace_up_to(age: int) -> None:
    """Workers of up to this age have successors at the same listener, and need not drain."""
    _replaced[0] = age


class ApiWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's own, which answers requests in flight before it ends, and those soon."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._draining = False

    def handle_exit(self, number: int, frame: FrameType | None) -> None:
        """Drain for SAGA_DRAIN_MS, then end: clients with `Prefer: wait` get the saga as it is.

        A gateway that still believes in this process is served meanwhile; its connections are
        closed with their next answer, and /health/ready tells it to look elsewhere.
        """
        if self._draining:
            return  # told twice, by the arbiter and with the process group
        if not settings.SAGA_DRAIN or self.age <= _replaced[0]:
            self._end(number, frame)
            return
        self._draining = True
        from sagas.api import health  # after the fork, and after Django's start

        health.refuse_readiness()
        self.cfg.set("keepalive", 0)
        signal.signal(signal.SIGALRM, self._end)
        signal.setitimer(signal.ITIMER_REAL, settings.SAGA_DRAIN)

    def _end(self, number: int, frame: FrameType | None) -> None:
        from sagas import services

        services.stop_waiting()
        super().handle_exit(number, frame)
