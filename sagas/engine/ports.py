"""What the engine needs from the code above it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from sagas.domain.definition import Definition
from sagas.domain.events import Event
from sagas.domain.outcome import Outcome
from sagas.domain.state import CallKind, Json, SagaState
from sagas.domain.trace import Trace


@dataclass(frozen=True, kw_only=True, slots=True)
class StepCall:
    """A step's action or compensation to be called, with all that is known of the saga."""

    saga_id: UUID
    saga_type: str
    run: int
    data: Json
    outputs: Mapping[str, Json]
    """Outputs of this run's steps so far, by step name."""

    step: str
    kind: CallKind
    revision: int = 0
    """How often the step's call was built anew under fresh keys."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One attempt of a call, which is recorded as started."""

    call: StepCall
    number: int
    request: Json
    """What to send, byte for byte: as it was recorded before the first attempt."""

    expires: float
    """Nothing may be sent after this moment of the monotonic clock: the lease ends."""

    worker: str
    """Who makes it."""

    trace: Trace
    span: str
    """What the participant is told of the trace: the saga's, and the attempt's span in it."""


class Executor(Protocol):
    """A saga type that this process can drive."""

    @property
    def definition(self) -> Definition:
        """Its steps, as frozen data."""
        ...

    def prepare(self, call: StepCall) -> Json:
        """The request that all attempts of the call send. Raises whatever the saga's code does."""
        ...

    def perform(self, attempt: Attempt) -> Outcome:
        """Send the request. Neither this nor `prepare` is called inside a database transaction."""
        ...


class Catalog(Protocol):
    """The saga types that this process knows."""

    def find(self, saga_type: str, version: int) -> Executor | None:
        """The executor of that version of that type, if there is one."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """A transition that is now durable."""

    saga_id: UUID
    saga_type: str
    trace: str
    """As it is kept with the saga."""

    before: SagaState
    after: SagaState
    events: tuple[Event, ...]
    at: datetime
    started_at: datetime | None


class Observer(Protocol):
    """Told of each transition after its commit; what it raises is logged and forgotten."""

    def __call__(self, recorded: Recorded, /) -> None: ...
