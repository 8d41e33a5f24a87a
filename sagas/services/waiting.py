"""Waiting for a saga's end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from uuid import UUID

from django.conf import settings

from sagas import runtime, selectors
from sagas.domain.state import ENDED, SagaStatus
from sagas.models import Saga
from sagas.services.reading import SagaNotFound, get_saga

_waiting = BoundedSemaphore(max(1, settings.SAGA_API_THREADS // 2))
_stopping = False


def wait_until_ended(saga_id: UUID, seconds: float) -> Saga:
    """The saga as it was last seen: when it ended, or at the end of the time. Raises SagaNotFound.

    No more than half of a process's threads wait at once; beyond that the answer comes at once.
    """

    def done() -> bool:
        return _stopping or SagaStatus(selectors.saga_status(saga_id)) in ENDED

    try:
        with place() as free:
            if free:
                runtime.completion().wait(saga_id, seconds, done)
    except Saga.DoesNotExist:
        raise SagaNotFound(str(saga_id)) from None
    return get_saga(saga_id)


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
