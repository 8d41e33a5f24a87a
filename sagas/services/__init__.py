"""The use cases: one function each, for the API, the console and the workers alike."""

from sagas.services.creating import (
    Created,
    InvalidData,
    KeyReused,
    UnknownSagaType,
    create_saga,
    validated,
)
from sagas.services.mending import Mendable, editing, mendable, resolution, skipping
from sagas.services.operating import (
    OPERATIONS,
    MovedOn,
    NeedsApproval,
    NotAllowed,
    compensate,
    execute,
    needs_approval,
    perform,
    preview,
    retry,
)
from sagas.services.reading import SagaNotFound, allowed, get_saga
from sagas.services.waiting import stop_waiting, wait_until_ended
from sagas.services.working import drive, take_from_the_gone

__all__ = [
    "OPERATIONS",
    "Created",
    "InvalidData",
    "KeyReused",
    "Mendable",
    "MovedOn",
    "NeedsApproval",
    "NotAllowed",
    "SagaNotFound",
    "UnknownSagaType",
    "allowed",
    "compensate",
    "create_saga",
    "drive",
    "editing",
    "execute",
    "get_saga",
    "mendable",
    "needs_approval",
    "perform",
    "preview",
    "resolution",
    "retry",
    "skipping",
    "stop_waiting",
    "take_from_the_gone",
    "validated",
    "wait_until_ended",
]
