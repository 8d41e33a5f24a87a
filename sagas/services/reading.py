"""Reading sagas, and what may be done with them now."""

from __future__ import annotations

from uuid import UUID

from executors.base import SagaExecutor
from executors.registry import registry
from sagas import selectors
from sagas.domain.rules import allowed_operations
from sagas.domain.state import SagaState
from sagas.engine import store
from sagas.models import Saga


class SagaNotFound(Exception):
    """There is no saga of that id."""


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
    known = code_and_state(saga)
    if known is None:
        return []
    executor, state = known
    return sorted(op.value for op in allowed_operations(executor.definition, state))


def code_and_state(saga: Saga) -> tuple[SagaExecutor, SagaState] | None:
    """The code of the saga's steps and where it stands; None if either is not to be had."""
    executor, rows = registry.find(saga.type, saga.definition_version), list(saga.steps.all())
    names = [(row.name, row.compensation) for row in rows]
    if executor is None or names != [(s.name, s.compensation) for s in executor.definition.steps]:
        return None
    try:
        return executor, store.saga_state(saga, rows)
    except store.Unreadable:
        return None
