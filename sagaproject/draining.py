"""Ending unnoticed: a process that is told to stop serves on until gateways look elsewhere."""

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


class DrainingWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's own, which ends SAGA_DRAIN_MS after it was told to.

    A gateway that still believes in this process is served meanwhile; connections are closed with
    their next answer, and /health/ready tells it to look elsewhere.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._draining = False

    def handle_exit(self, number: int, frame: FrameType | None) -> None:
        """SIGTERM: drain, then finish."""
        if self._draining:
            return  # told twice, by the arbiter and with the process group
        if not settings.SAGA_DRAIN or self.age <= _replaced[0]:
            self.finish(number, frame)
            return
        self._draining = True
        from sagas.api import health  # after the fork, and after Django's start

        health.refuse_readiness()
        self.cfg.set("keepalive", 0)
        signal.signal(signal.SIGALRM, self.finish)
        signal.setitimer(signal.ITIMER_REAL, settings.SAGA_DRAIN)

    def finish(self, number: int, frame: FrameType | None) -> None:
        """Take no more connections, answer the requests in flight, and end."""
        super().handle_exit(number, frame)

    def is_parent_alive(self) -> bool:
        """Whether the instance's main process lives; without it this one ends.

        The port is let go of at once. Else it would hold connections that nobody accepts, and keep
        the instance's successor out, until all that is in flight has been answered.
        """
        if super().is_parent_alive():
            return True
        self.alive = False  # so that connections are closed with their next answer
        self.set_accept_enabled(False)
        for listener in self.sockets:
            listener.close()
        return False
