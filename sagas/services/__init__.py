"""The use cases: one function each, for the API, the console and the workers alike."""

from sagas.services.approving import (
    AlreadyProposed,
    Decided,
    SamePerson,
    approve,
    needs_approval,
    propose,
    reject,
)
from sagas.services.bulk import (
    MOST_IN_BULK,
    NotConfirmable,
    TooMany,
    confirm_bulk,
    draft_bulk,
    due_bulks,
    run_bulk,
)
from sagas.services.creating import (
    Created,
    InvalidData,
    KeyReused,
    UnknownSagaType,
    create_saga,
    validated,
)
from sagas.services.mending import Mendable, editing, edits, mendable, resolution, skipping
from sagas.services.operating import (
    OPERATIONS,
    MovedOn,
    NeedsApproval,
    NotAllowed,
    compensate,
    execute,
    perform,
    preview,
    retry,
)
from sagas.services.reading import SagaNotFound, allowed, get_saga
from sagas.services.waiting import stop_waiting, wait_until_ended
from sagas.services.working import drive, take_from_the_gone

__all__ = [
    "MOST_IN_BULK",
    "OPERATIONS",
    "AlreadyProposed",
    "Created",
    "Decided",
    "InvalidData",
    "KeyReused",
    "Mendable",
    "MovedOn",
    "NeedsApproval",
    "NotAllowed",
    "NotConfirmable",
    "SagaNotFound",
    "SamePerson",
    "TooMany",
    "UnknownSagaType",
    "allowed",
    "approve",
    "compensate",
    "confirm_bulk",
    "create_saga",
    "draft_bulk",
    "drive",
    "due_bulks",
    "editing",
    "edits",
    "execute",
    "get_saga",
    "mendable",
    "needs_approval",
    "perform",
    "preview",
    "propose",
    "reject",
    "resolution",
    "retry",
    "run_bulk",
    "skipping",
    "stop_waiting",
    "take_from_the_gone",
    "validated",
    "wait_until_ended",
]
