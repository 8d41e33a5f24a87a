"""What all writers of sagas share: the catalog, the clock, saving, and telling the observers."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from django.db import connection, transaction

from sagas.domain import triggers as tr
from sagas.domain.decide import transition
from sagas.domain.definition import Definition
from sagas.domain.events import Event
from sagas.domain.state import SagaState, SagaStatus
from sagas.engine import store
from sagas.engine.ports import Catalog, Executor, Observer, Recorded

logger = logging.getLogger(__name__)

Events = tuple[Event, ...]


class UnknownDefinition(Exception):
    """No code here knows this version of the saga type."""


class Move:
    """Events that are to be saved together, and the state of the saga after them."""

    __slots__ = ("after", "events", "work")

    def __init__(
        self, work: store.Loaded, events: Events = (), after: SagaState | None = None
    ) -> None:
        self.work = work
        self.events = events
        self.after = work.state if after is None else after

    def then(self, definition: Definition, trigger: tr.Trigger, now: datetime) -> Move:
        """The move with what the trigger adds. Raises Illegal."""
        events, after = transition(definition, self.after, trigger, now)
        return Move(self.work, self.events + events, after)


class Writer:
    """Writes sagas of the catalog's types under its name, with leases of a fixed length."""

    def __init__(self, catalog: Catalog, *, owner: str, lease: timedelta, park: timedelta) -> None:
        self.catalog = catalog
        self.owner = owner
        self.lease = lease
        self.park = park
        self.observers: list[Observer] = []

    def executor(self, loaded: store.Loaded) -> Executor:
        """The code of the saga's definition. Raises UnknownDefinition."""
        executor = self.catalog.find(loaded.type, loaded.definition_version)
        version = f"version {loaded.definition_version} of {loaded.type!r}"
        if executor is None:
            raise UnknownDefinition(f"no code here knows {version}")
        steps = tuple((step.name, step.compensation) for step in executor.definition.steps)
        if steps != loaded.steps:
            raise UnknownDefinition(f"the code's steps of {version} are not those of this saga")
        return executor

    def now(self, loaded: store.Loaded) -> datetime:
        """The time by which leases, waits and deadlines are measured: the database's."""
        return loaded.now()

    def save(
        self,
        move: Move,
        definition: Definition,
        now: datetime,
        *,
        actor: str,
        reason: str = "",
    ) -> store.Loaded | None:
        """The saga as the move leaves it, durably; None when another writer was first."""
        before, after = move.work, move.after
        if not store.save(
            before, definition, move.events, after, now=now, actor=actor, reason=reason
        ):
            return None
        starts = after.status is SagaStatus.IN_PROGRESS is not before.state.status
        saved = replace(before, state=after, started_at=now if starts else before.started_at)
        self.told_of(move, now)
        return saved

    def told_of(self, move: Move, now: datetime) -> None:
        """Tell the observers of a transition that was saved."""
        work = move.work
        self.tell(
            Recorded(
                saga_id=work.id,
                saga_type=work.type,
                trace=work.trace,
                before=work.state,
                after=move.after,
                events=move.events,
                at=now,
                started_at=work.started_at,
            )
        )

    def tell(self, recorded: Recorded) -> None:
        """Tell the observers: at once, or when a transaction that the caller has open commits."""
        if connection.in_atomic_block:
            transaction.on_commit(partial(self._observe, recorded))
        else:
            self._observe(recorded)

    def _observe(self, recorded: Recorded) -> None:
        for observer in self.observers:
            try:
                observer(recorded)
            except Exception:
                # The commit stands whatever becomes of a wake-up, a metric or a log line.
                logger.exception("an observer failed")
