"""Waiting for a saga's end."""

from __future__ import annotations

from threading import BoundedSemaphore
from uuid import UUID

from django.conf import settings

from sagas import runtime
from sagas.domain.state import ENDED, SagaStatus
from sagas.models import Saga
from sagas.services.reading import SagaNotFound

_waiting = BoundedSemaphore(max(1, settings.SAGA_API_THREADS // 2))
_stopping = False


def wait_until_ended(saga_id: UUID, seconds: float) -> bool:
    """Whether the saga ends within the time. Raises SagaNotFound.

    No more than half of a process's threads wait at once; beyond that the answer is no at once.
    """

    has_ended = False

    def done() -> bool:
        nonlocal has_ended
        status = Saga.objects.filter(pk=saga_id).values_list("status", flat=True).first()
        if status is None:
            raise SagaNotFound(str(saga_id))
        has_ended = SagaStatus(status) in ENDED
        return has_ended or _stopping

    if not _waiting.acquire(blocking=False):
        return False
    try:
        runtime.completion().wait(saga_id, seconds, done)
    finally:
        _waiting.release()
    return has_ended


def stop_waiting() -> None:
    """Have all who wait for a saga's end answered: this process is about to end."""
    global _stopping
    _stopping = True  # and no more: this is called by a signal's handler
