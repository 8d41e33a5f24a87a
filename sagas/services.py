"""The use cases: one function each, for the API, the console and the workers alike."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from threading import BoundedSemaphore
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError

from executors.base import SagaExecutor
from executors.registry import registry
from executors.secrets import hiding, redactor_of
from sagas import runtime, selectors
from sagas.domain import triggers as tr
from sagas.domain.rules import Illegal, allowed_operations
from sagas.domain.state import ENDED, Operation, SagaStatus
from sagas.engine import store
from sagas.engine.engine import Busy
from sagas.engine.presence import Presence
from sagas.engine.whole import whole
from sagas.engine.writer import UnknownDefinition
from sagas.models import Saga

_AT_ONCE = 1000
"""Leases that are looked at in one go: more than the threads of most fleets."""

_waiting = BoundedSemaphore(max(1, settings.SAGA_API_THREADS // 2))
_stopping = False


class UnknownSagaType(Exception):
    """No saga type of that name is declared."""


class InvalidData(Exception):
    """The data does not fit the saga type; `errors` says where."""

    def __init__(self, errors: Any) -> None:
        super().__init__("the data does not fit the saga type")
        self.errors = errors


class KeyReused(Exception):
    """The Idempotency-Key was used before, with another body."""


class SagaNotFound(Exception):
    """There is no saga of that id."""


class NotAllowed(Exception):
    """The operation is not allowed now; `status` and `allowed` say what is."""

    def __init__(self, message: str, status: str, allowed: list[str]) -> None:
        super().__init__(message)
        self.status = status
        self.allowed = allowed


@dataclass(frozen=True, kw_only=True, slots=True)
class Created:
    """A saga, and whether this request or an earlier one with its key made it."""

    saga: Saga
    replayed: bool


def create_saga(
    saga_type: str,
    data: Any,
    *,
    execute: bool,
    actor: str,
    idempotency_key: str | None = None,
    reason: str = "",
) -> Created:
    """Create a saga, and start it if `execute`.

    Raises UnknownSagaType, InvalidData, or KeyReused.
    """
    digest = _digest({"type": saga_type, "data": data, "execute": execute})
    if idempotency_key is not None:
        first = _by_key(idempotency_key, digest)
        if first is not None:
            return Created(saga=first, replayed=True)
    executor = registry.newest(saga_type)
    if executor is None:
        raise UnknownSagaType(saga_type)
    now = selectors.database_now()
    saga = Saga(
        type=saga_type,
        definition_version=executor.version,
        data=validated(executor, data),
        idempotency_key=idempotency_key,
        request_digest=digest if idempotency_key is not None else "",
        created_at=now,
    )
    try:
        whole(
            lambda: runtime.engine().create(
                saga, executor.definition, execute=execute, actor=actor, reason=reason
            )
        )
    except IntegrityError:
        first = None if idempotency_key is None else _by_key(idempotency_key, digest)
        if first is None:
            raise
        return Created(saga=first, replayed=True)
    return Created(saga=get_saga(saga.id), replayed=False)


def validated(executor: SagaExecutor, data: Any) -> dict[str, Any]:
    """The data as the saga type's serializer keeps it, as JSON values. Raises InvalidData."""
    hide = redactor_of(executor).knowing(data)
    with hide.cleansing():
        serializer = executor.data(data=data)
        if serializer.is_valid():
            return dict(serializer.to_representation(serializer.validated_data))
    raise InvalidData(serializer.errors if hide.idle else hide.told(serializer.errors))


def execute(saga_id: UUID, *, actor: str, reason: str = "") -> Saga:
    """Start a pending saga. Raises SagaNotFound, NotAllowed."""
    return _command(saga_id, tr.Execute(), actor, reason)


def compensate(saga_id: UUID, *, actor: str, reason: str = "") -> Saga:
    """Take back what a saga has done. Raises SagaNotFound, NotAllowed."""
    return _command(saga_id, tr.Compensate(reason=reason), actor, reason)


def retry(saga_id: UUID, *, actor: str, reason: str = "") -> Saga:
    """Try a failed saga again, or a compensated one in a new run.

    Raises SagaNotFound, NotAllowed.
    """
    return _command(saga_id, tr.Retry(), actor, reason)


OPERATIONS: Mapping[Operation, Callable[..., Saga]] = {
    Operation.EXECUTE: execute,
    Operation.COMPENSATE: compensate,
    Operation.RETRY: retry,
}
"""The operations by name; each takes a saga's id, `actor` and `reason`."""


def get_saga(saga_id: UUID) -> Saga:
    """The saga with its steps. Raises SagaNotFound."""
    try:
        return selectors.saga_with_steps(saga_id)
    except Saga.DoesNotExist:
        raise SagaNotFound(str(saga_id)) from None


def allowed(saga: Saga) -> list[str]:
    """The operations that are allowed on the saga now, in order.

    None without the code of its steps, and none if its rows cannot be read.
    """
    executor, rows = registry.find(saga.type, saga.definition_version), list(saga.steps.all())
    names = [(row.name, row.compensation) for row in rows]
    if executor is None or names != [(s.name, s.compensation) for s in executor.definition.steps]:
        return []
    try:
        state = store.saga_state(saga, rows)
    except store.Unreadable:
        return []
    return sorted(op.value for op in allowed_operations(executor.definition, state))


def drive(saga_id: UUID, stopping: Callable[[], bool] = lambda: False) -> None:
    """Drive the saga as far as it goes now, if it is due and no other worker does."""
    runtime.engine().drive(saga_id, stopping=stopping)


def take_from_the_gone(presence: Presence) -> None:
    """Have the sagas of workers that are gone be due now; called again and again by a worker."""
    leased = selectors.leases(settings.SAGA_LEASE, _AT_ONCE)
    gone = presence.gone({owner for _, owner in leased})
    for saga_id, owner in leased:
        if owner in gone:
            runtime.engine().lose(saga_id, owner)


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


def _command(saga_id: UUID, trigger: tr.Trigger, actor: str, reason: str) -> Saga:
    if reason:  # a person's words are kept for good, searched and logged
        reason = hiding(get_saga(saga_id)).text(reason)
        if isinstance(trigger, tr.Compensate):
            trigger = replace(trigger, reason=reason)
    try:
        whole(lambda: runtime.engine().command(saga_id, trigger, actor=actor, reason=reason))
    except Saga.DoesNotExist:
        raise SagaNotFound(str(saga_id)) from None
    except (Illegal, Busy, UnknownDefinition, store.Unreadable) as error:
        saga = get_saga(saga_id)
        raise NotAllowed(str(error), saga.status, allowed(saga)) from error
    return get_saga(saga_id)


def _by_key(key: str, digest: str) -> Saga | None:
    saga = Saga.objects.prefetch_related("steps").filter(idempotency_key=key).first()
    if saga is not None and saga.request_digest != digest:
        raise KeyReused(key)
    return saga


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()
