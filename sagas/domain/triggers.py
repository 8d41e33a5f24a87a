"""What can happen to a saga: the operations of people, and the work of the workers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sagas.domain.outcome import Outcome
from sagas.domain.state import Json


@dataclass(frozen=True, kw_only=True, slots=True)
class Execute:
    """Start a pending saga."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Compensate:
    """Take back what the saga has done."""

    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    """Try a failed saga again, or a compensated one in a new run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolve:
    """A person found out whether an action in doubt has taken effect."""

    step: str
    applied: bool
    evidence: str
    output: Json | None = None
    """What the participant would have answered, where that is known and it was applied."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Skip:
    """A person saw to a step at which the saga is stuck, or it is not needed: it is not called."""

    step: str
    output: Json | None = None
    """What later steps may read, when an action is skipped."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EditData:
    """Calls that are yet to be built are to see other data."""

    data: Json
    before: Json
    """The data as the person saw it: the history keeps both."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A worker wants to drive the saga; what its predecessor left in flight is in doubt."""

    owner: str
    lease: timedelta


@dataclass(frozen=True, kw_only=True, slots=True)
class Lose:
    """The worker of that name is gone; if it is not, that costs an attempt and no more."""

    owner: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """The holder of the lease is about to make the next call."""

    lease: timedelta
    request: Json | None
    """What will be sent; None when an earlier attempt of the call recorded it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unbuildable:
    """The next call cannot be made: the step's own code failed."""

    error: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The call in flight has an outcome."""

    outcome: Outcome
    spread: float = 0.0
    """Randomness for the jitter, in [0, 1): the core itself knows none."""

    hand_back: bool = False
    """The worker is stopping: record the outcome, start nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Park:
    """No code here knows the saga's definition; look again later."""

    reason: str
    wait: timedelta


Trigger = (
    Execute
    | Compensate
    | Retry
    | Resolve
    | Skip
    | EditData
    | Claim
    | Lose
    | Start
    | Unbuildable
    | Answer
    | Park
)
