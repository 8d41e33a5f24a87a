"""One saga's history as plain data, and what is known of the world that it ran in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from sagas.domain import attempts as at
from sagas.domain import events as ev
from sagas.domain.definition import Definition
from sagas.domain.state import CallKind, Json, SagaState


@dataclass(frozen=True, kw_only=True, slots=True)
class Violation:
    """A promise that was not kept; `saga_id` is empty when it is no single saga's."""

    invariant: int
    saga_id: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """An event as it is stored. `at` is the database's time just before the commit."""

    seq: int
    kind: str
    at: datetime
    actor: str
    reason: str
    epoch: int
    data: Json


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """One saga as one commit left it: its rows and all of its events."""

    saga_id: str
    type: str
    version: int
    status: str
    data: Json
    row: SagaState | None
    """What the rows hold; None if that is no state, and then `unreadable` says why."""

    steps: tuple[tuple[str, str], ...]
    """Names of the actions and compensations in the rows of the steps, in order."""

    facts: tuple[Fact, ...]
    unreadable: str = ""
    definition: Definition | None = None
    """The definition of that type and version, if this code knows it."""

    participants: Mapping[str, str] = field(default_factory=dict)
    """Whom each step calls, by the code; what is recorded of a call goes before."""

    in_doubt: bool = False
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    updated_at: datetime | None = None
    stored: Json = field(default_factory=dict)
    """All columns of all its rows, by name: what is searched for secrets."""


class Call(NamedTuple):
    """A call that a saga may make; all of its attempts carry one key."""

    run: int
    step: str
    kind: CallKind
    revision: int = 0
    """How often the step's calls got keys of their own in the run, after an edit of the data."""


@dataclass(frozen=True, slots=True)
class Moment:
    """An event, with the states before and after it."""

    fact: Fact
    event: ev.Event
    before: SagaState
    after: SagaState

    @property
    def call(self) -> Call | None:
        """The call that the event is about, if it is about one."""
        if not isinstance(self.event, at.AttemptEvent):
            return None
        known = (s.revision for s in self.before.steps if s.name == self.event.step)
        return Call(self.before.run, self.event.step, self.event.call, next(known, 0))


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What is known of the world that the sagas ran in."""

    skew: timedelta = timedelta(seconds=0.05)
    """By how much the clocks of a participant and of the database may differ."""

    duplicating_network: bool = False
    """Whether a call that was sent once may arrive more than once."""

    services: frozenset[str] | None = None
    """The participants whose ledgers were read; None: those of all."""

    ledgers: bool = True
    """Whether any ledger was read."""

    settled: bool = True
    """Whether everything is said to have come to rest."""

    rested_by: datetime | None = None
    """A saga that changed after this is not held against the ledgers' sums; None: all are."""

    read_at: datetime | None = None
    """The database's time when the sagas were read; None: unknown."""

    sweep: timedelta = timedelta(seconds=1)
    secrets: tuple[str, ...] = ()
