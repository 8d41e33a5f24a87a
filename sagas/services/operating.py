"""What people and clients ask of a saga: previewed, and then done as it was previewed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from uuid import UUID

from django.conf import settings

from executors.base import SagaExecutor
from executors.registry import registry
from executors.secrets import hiding
from sagas import runtime
from sagas.domain import triggers as tr
from sagas.domain.rules import Illegal
from sagas.domain.state import Operation, SagaStatus
from sagas.engine import store
from sagas.engine.engine import Busy
from sagas.engine.whole import whole
from sagas.engine.writer import UnknownDefinition
from sagas.models import Saga
from sagas.preview import Plan, plan
from sagas.services.reading import SagaNotFound, allowed, get_saga

MOVED_ON = "the saga moved on since the preview"
TWO_PERSONS = "compensating a completed saga takes two persons"


class MovedOn(Exception):
    """The saga is no longer as it was when the operation was previewed; nothing was done."""


class NeedsApproval(Exception):
    """Somebody else has to approve the operation first; nothing was done."""


class NotAllowed(Exception):
    """The operation is not allowed now; `status` and `allowed` say what is."""

    def __init__(self, message: str, status: str, allowed: list[str]) -> None:
        super().__init__(message)
        self.status = status
        self.allowed = allowed


def execute(saga_id: UUID, *, actor: str, reason: str = "") -> Saga:
    """Start a pending saga. Raises SagaNotFound, NotAllowed."""
    return perform(saga_id, tr.Execute(), actor=actor, reason=reason)


def compensate(saga_id: UUID, *, actor: str, reason: str = "") -> Saga:
    """Take back what a saga has done. Raises SagaNotFound, NotAllowed, NeedsApproval."""
    return perform(saga_id, tr.Compensate(reason=reason), actor=actor, reason=reason)


def retry(saga_id: UUID, *, actor: str, reason: str = "") -> Saga:
    """Try a failed saga again, or a compensated one in a new run.

    Raises SagaNotFound, NotAllowed.
    """
    return perform(saga_id, tr.Retry(), actor=actor, reason=reason)


OPERATIONS: Mapping[Operation, Callable[..., Saga]] = {
    Operation.EXECUTE: execute,
    Operation.COMPENSATE: compensate,
    Operation.RETRY: retry,
}
"""The operations by name; each takes a saga's id, `actor` and `reason`."""


def preview(saga_id: UUID, *triggers: tr.Trigger) -> Plan:
    """What the operations, one after the other, lead to. Raises SagaNotFound, NotAllowed."""
    with _refusals(saga_id):
        loaded = store.load(saga_id)
        return plan(_executor(loaded), loaded, *triggers)


def perform(
    saga_id: UUID,
    *triggers: tr.Trigger,
    actor: str,
    reason: str,
    fingerprint: str = "",
    approved: bool = False,
) -> Saga:
    """Do a person's operations, all or none; with a plan's fingerprint only what it showed.

    Raises SagaNotFound, NotAllowed, MovedOn, NeedsApproval.
    """

    tell = cleaned(saga_id)
    reason, triggers = tell(reason), tuple(_told(trigger, tell) for trigger in triggers)

    def guard(loaded: store.Loaded) -> None:
        if fingerprint and plan(_executor(loaded), loaded, *triggers).fingerprint != fingerprint:
            raise MovedOn(MOVED_ON)
        edits = (trigger for trigger in triggers if isinstance(trigger, tr.EditData))
        if any(edit.before != loaded.data for edit in edits):
            raise MovedOn("somebody else edited the data meanwhile")
        undoes = any(isinstance(trigger, tr.Compensate) for trigger in triggers)
        two = undoes and needs_approval(loaded.state.status, Operation.COMPENSATE)
        if two and not approved:
            raise NeedsApproval(TWO_PERSONS)

    with _refusals(saga_id):
        whole(
            lambda: runtime.engine().command(
                saga_id, *triggers, actor=actor, reason=reason, guard=guard
            )
        )
    return get_saga(saga_id)


def needs_approval(status: str, operation: Operation) -> bool:
    """Whether the operation on a saga of that status takes two persons."""
    undoes = operation is Operation.COMPENSATE and status == SagaStatus.COMPLETED
    return settings.SAGA_TWO_PERSON and undoes


def cleaned(saga_id: UUID) -> Callable[[str], str]:
    """What takes the saga's secrets out of a person's words, which are kept, searched and logged.

    Raises SagaNotFound, if some saga type has secrets.
    """
    if not any(executor.secrets for executor in registry.all()):
        return lambda text: text
    return hiding(get_saga(saga_id)).text


def _told(trigger: tr.Trigger, tell: Callable[[str], str]) -> tr.Trigger:
    match trigger:
        case tr.Compensate():
            return replace(trigger, reason=tell(trigger.reason))
        case tr.Resolve():
            return replace(trigger, evidence=tell(trigger.evidence))
    return trigger


@contextmanager
def _refusals(saga_id: UUID) -> Iterator[None]:
    """Raises SagaNotFound and NotAllowed for what the engine and the store raise."""
    try:
        yield
    except Saga.DoesNotExist:
        raise SagaNotFound(str(saga_id)) from None
    except (Illegal, Busy, UnknownDefinition, store.Unreadable) as error:
        saga = get_saga(saga_id)
        raise NotAllowed(str(error), saga.status, allowed(saga)) from error


def _executor(loaded: store.Loaded) -> SagaExecutor:
    """The code of the saga's steps. Raises UnknownDefinition."""
    executor = runtime.engine().executor(loaded)
    assert isinstance(executor, SagaExecutor)
    return executor
