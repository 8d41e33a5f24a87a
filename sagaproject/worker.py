"""One worker process: threads that take messages, and a sweeper beside them.

`./run worker` starts and watches several of these; `dramatiq sagaproject.worker` works too.
"""

from __future__ import annotations

import logging
import os
import signal
from threading import Event

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sagaproject.settings")
django.setup()

from django.conf import settings  # noqa: E402  needs Django's settings
from dramatiq import Worker  # noqa: E402

from sagaproject.postgresql.pool import answer_within  # noqa: E402
from sagas.actors import drive_saga  # noqa: E402
from sagas.broker import broker  # noqa: E402

__all__ = ["broker", "drive_saga"]

logger = logging.getLogger("sagas.worker")

_IDLE_MS = 100
"""How long an idle thread sleeps before it asks Redis again."""


def main() -> None:
    """Work until SIGTERM or SIGINT; then finish the calls in flight and hand their sagas back."""
    answer_within(settings.DB_ANSWER_TIMEOUT)
    told, parent = Event(), os.getppid()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    worker = Worker(broker, worker_threads=settings.SAGA_WORKER_THREADS, worker_timeout=_IDLE_MS)
    worker.start()
    logger.info("worker started")
    while not told.wait(1.0) and os.getppid() == parent:
        pass  # a supervisor that was killed takes its workers with it, in order
    # A call in flight ends before its lease does.
    worker.stop(timeout=round(settings.SAGA_LEASE * 1000))
    broker.close()
    logger.info("worker stopped")


if __name__ == "__main__":
    main()
