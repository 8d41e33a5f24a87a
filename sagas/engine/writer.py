"""What all writers of sagas share: the catalog, the clock, saving, and telling the observers."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction

from sagas.domain.definition import Definition
from sagas.domain.events import Event
from sagas.domain.state import SagaState, SagaStatus
from sagas.engine import store
from sagas.engine.ports import Catalog, Executor, Observer, Recorded

logger = logging.getLogger(__name__)

Events = tuple[Event, ...]


class UnknownDefinition(Exception):
    """No code here knows this version of the saga type."""


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
        loaded: store.Loaded,
        definition: Definition,
        events: Events,
        after: SagaState,
        now: datetime,
        *,
        actor: str,
        reason: str = "",
    ) -> store.Loaded | None:
        """The saga as the events leave it, once they are durable.

        None when another writer was first.
        """
        if not store.save(loaded, definition, events, after, now=now, actor=actor, reason=reason):
            return None
        starts = after.status is SagaStatus.IN_PROGRESS is not loaded.state.status
        started_at = now if starts else loaded.started_at
        saved = replace(loaded, state=after, started_at=started_at)
        self.told_of(loaded, saved, events, now)
        return saved

    def told_of(
        self, before: store.Loaded, after: store.Loaded, events: Events, now: datetime
    ) -> None:
        """Tell the observers of a transition that was saved."""
        self.tell(
            Recorded(
                saga_id=after.id,
                saga_type=after.type,
                trace=after.trace,
                before=before.state,
                after=after.state,
                events=events,
                at=now,
                started_at=before.started_at,
            )
        )

    def tell(self, recorded: Recorded) -> None:
        """Tell the observers: at once, or when a transaction that the caller has open commits."""
        transaction.on_commit(partial(self._observe, recorded))

    def _observe(self, recorded: Recorded) -> None:
        for observer in self.observers:
            try:
                observer(recorded)
            except Exception:
                # The commit stands whatever becomes of a wake-up, a metric or a log line.
                logger.exception("an observer failed")
