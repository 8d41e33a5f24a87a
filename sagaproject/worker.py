"""One worker process: threads that take messages, and a sweeper beside them.

`./run worker` starts and watches several of these; `dramatiq sagaproject.worker` works too.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from threading import Event

import django
from prometheus_client import values

from sagas.management.careful import count_carefully
from sagas.management.counts import PROCESS

# Before the first metric is made, which decides where it is kept.
count_carefully()
if _process := os.environ.get(PROCESS):
    values.ValueClass = values.MultiProcessValue(lambda: _process)  # type: ignore[no-untyped-call]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sagaproject.settings")
django.setup()

from django.conf import settings  # noqa: E402  needs Django's settings
from dramatiq import Worker  # noqa: E402

from sagas import metrics, tracing  # noqa: E402
from sagas.actors import drive_saga, stopping  # noqa: E402
from sagas.broker import broker  # noqa: E402

__all__ = ["broker", "drive_saga"]

logger = logging.getLogger("sagas.worker")

_IDLE_MS = 500
"""How long an idle thread sleeps before it looks whether the worker ends; messages wake it."""


def main() -> None:
    """Work until told to stop; then finish the calls in flight and hand their sagas back."""
    told, parent = Event(), int(sys.argv[1]) if len(sys.argv) > 1 else os.getppid()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: told.set())
    metrics.begin()
    worker = Worker(broker, worker_threads=settings.SAGA_WORKER_THREADS, worker_timeout=_IDLE_MS)
    # One to go on with: more would wait here while other processes have threads to spare, and
    # the sweepers would take them for sagas that no message told of.
    worker.queue_prefetch = settings.SAGA_WORKER_THREADS + 1
    worker.start()
    logger.info("worker started")
    while not told.wait(1.0) and os.getppid() == parent:
        pass  # a supervisor that was killed takes its workers with it, in order
    _finish(worker)
    try:
        worker.stop(timeout=1000)
        broker.close()
    except Exception as error:
        logger.warning("messages could not be given back, the sweepers find theirs: %s", error)
    tracing.stop()
    logger.info("worker stopped")
    logging.shutdown()
    # A thread that still waits for a database that is away would keep the process alive. Its
    # lease has ended, so what it would write is void.
    os._exit(0)


def _finish(worker: Worker) -> None:
    """Wait until the calls in flight have ended, as they do before their leases.

    Dramatiq counts the time that it waited for one thread against each of the others, and so
    would leave most of them in the middle of a call.
    """
    stopping.set()
    for thread in worker.workers:
        thread.stop()
    until = time.monotonic() + settings.SAGA_LEASE
    for thread in worker.workers:
        thread.join(max(0.0, until - time.monotonic()))


if __name__ == "__main__":
    main()
