"""Sagas that the API drives itself, for clients that wait for them.

The thread that would else wait for a worker makes the calls. The saga is this process's from the
commit that creates it on, so that no message, lock or announcement is needed between the two; what
is left when the client's time is over, or when the process ends, goes to the workers.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock, Thread

from django.conf import settings

from sagas import runtime
from sagas.engine import store
from sagas.engine.presence import Presence
from sagas.services.waiting import is_stopping, place

logger = logging.getLogger(__name__)

_one_at_a_time = Lock()


@contextmanager
def place_to_drive(seconds: float) -> Iterator[bool]:
    """Whether this thread may drive a saga whose client waits so long.

    It may with SAGA_API_DRIVES, and as long as half of the process's threads are free of clients
    that wait.
    """
    if not settings.SAGA_API_DRIVES or not seconds:
        yield False
        return
    with place() as free:
        if free:
            _attend()
        yield free


def drive_here(loaded: store.Loaded, until: float) -> None:
    """Drive a saga that this process has claimed; hand it back at that time of the monotonic
    clock."""
    try:
        runtime.engine().go_on(loaded, lambda: is_stopping() or time.monotonic() > until)
    except Exception:
        # The saga is created and its lease ends: its client is not to be told of an error.
        logger.exception("driving saga %s failed", loaded.id)


def _attend() -> None:
    with _one_at_a_time:
        _appear()


@cache
def _appear() -> None:
    """Be among the living from now on: workers end the leases of those who are not."""
    presence = Presence(runtime.engine().owner, sure_after=settings.SAGA_LEASE)
    presence.gone([])

    def stay() -> None:
        while True:
            time.sleep(settings.SAGA_SWEEP_INTERVAL)
            presence.gone([])

    Thread(target=stay, name="saga-presence", daemon=True).start()
