"""Waiting for a saga's end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from uuid import UUID

from django.conf import settings

from sagas import runtime
from sagas.domain.state import ENDED, SagaStatus
from sagas.engine.completion import Hear
from sagas.models import Saga
from sagas.services.reading import get_saga

_waiting = BoundedSemaphore(max(1, settings.SAGA_API_THREADS // 2))
_stopping = False

_LOOK_EVERY = 2.0
"""Seconds after which a waiter looks for itself: the message may be lost, the process ending."""


def wait_until_ended(saga_id: UUID, seconds: float) -> Saga | None:
    """The saga as it was last seen: when it ended, or at the end of the time. Raises SagaNotFound.

    None, at once, where this thread may not wait: no more than half of a process's do.
    """
    until = time.monotonic() + seconds
    with listening(saga_id, seconds) as hear:
        if hear is None:
            return None
        saga = get_saga(saga_id)
        return saga if has_ended(saga) else when_heard(saga, until, hear)


@contextmanager
def listening(saga_id: UUID, seconds: float) -> Iterator[Hear | None]:
    """What hears of the saga's end from now on; None if this thread may not wait for it, or if
    there is no time left to."""
    if seconds <= 0:
        yield None
        return
    with place() as free:
        if not free:
            yield None
            return
        with runtime.completion().listening(saga_id) as hear:
            yield hear


def when_heard(saga: Saga, until: float, hear: Hear) -> Saga:
    """The saga, as it was last seen when it ended, or at that time of the monotonic clock."""
    while not _stopping and (left := until - time.monotonic()) > 0:
        hear(min(left, _LOOK_EVERY))
        saga = get_saga(saga.id)
        if has_ended(saga):
            break
    return saga


@contextmanager
def place() -> Iterator[bool]:
    """Whether this thread may be held up for a client."""
    free = _waiting.acquire(blocking=False)
    try:
        yield free
    finally:
        if free:
            _waiting.release()


def is_stopping() -> bool:
    """Whether this process is about to end."""
    return _stopping


def has_ended(saga: Saga) -> bool:
    """Whether the saga goes on only if somebody asks for it."""
    return SagaStatus(saga.status) in ENDED


def stop_waiting() -> None:
    """Have all who wait for a saga's end answered: this process is about to end."""
    global _stopping
    _stopping = True  # and no more: this is called by a signal's handler
