"""The engine: create, command and drive sagas.

Every write follows one path: load, decide, save with the events, tell the observers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Lock
from uuid import UUID

from structlog.contextvars import bound_contextvars

from sagas.domain import trace
from sagas.domain import triggers as tr
from sagas.domain.definition import Definition, StepDefinition
from sagas.domain.events import SagaCreated, replay
from sagas.domain.rules import Illegal
from sagas.domain.state import SagaState
from sagas.engine import store, unreadable
from sagas.engine.drive import Drive
from sagas.engine.lock import break_lock, saga_lock
from sagas.engine.ports import Catalog, Recorded
from sagas.engine.writer import Move, UnknownDefinition, Writer
from sagas.models import Saga

logger = logging.getLogger(__name__)

_COMMAND_TRIES = 10

_SUSPECT = 2
"""Crashes in a row after which a saga is driven with no other such saga in its process."""


class Busy(Exception):
    """Other writers kept being first; the command changed nothing and may be sent again."""


class Engine(Writer):
    """Creates, commands and drives sagas."""

    def __init__(self, catalog: Catalog, *, owner: str, lease: timedelta, park: timedelta) -> None:
        super().__init__(catalog, owner=owner, lease=lease, park=park)
        self._suspect = Lock()

    def create(
        self,
        saga: Saga,
        definition: Definition,
        *,
        execute: bool,
        actor: str,
        reason: str = "",
        claim: bool = False,
    ) -> store.Loaded:
        """Insert the saga, with its execute if wanted, and then with this process's claim of it.

        Who claims it is to `go_on` with it. Raises IntegrityError on a used key.
        """
        created = SagaCreated(
            steps=tuple(step.name for step in definition.steps),
            saga_type=definition.type,
            version=definition.version,
        )
        work, now = store.fresh(saga, definition), saga.created_at
        move = Move(work, (created,), replay((created,)))
        if execute:
            move = move.then(definition, tr.Execute(), now)
        if execute and claim:
            move, now = self._claimed(move, definition, now)
            saga.created_at = now
        store.insert(saga, definition, move.events, move.after, now, actor=actor, reason=reason)
        self.tell(
            Recorded(
                saga_id=saga.id,
                saga_type=saga.type,
                trace=saga.trace,
                before=SagaState(),
                after=move.after,
                events=move.events,
                at=now,
                started_at=saga.started_at,
            )
        )
        # By the clock of before: building the first call may have taken its time.
        return replace(work, state=move.after, started_at=saga.started_at)

    def _claimed(self, move: Move, definition: Definition, now: datetime) -> tuple[Move, datetime]:
        """The move with this process's claim and the start of the first call; and when.

        Nothing is acknowledged yet, so a crash in the saga's own code need not be counted: its
        first call can be built now, and recorded with all the rest.
        """
        move = move.then(definition, tr.Claim(owner=self.owner, lease=self.lease), now)
        return Drive(self, self.executor(move.work), lambda: False).with_start(move, now)

    def command(
        self,
        saga_id: UUID,
        *triggers: tr.Trigger,
        actor: str,
        reason: str,
        guard: Callable[[store.Loaded], None] = lambda loaded: None,
    ) -> store.Loaded:
        """Apply a person's operations, all or none, to the saga as the guard lets it pass.

        Raises Illegal, Saga.DoesNotExist, UnknownDefinition, Unreadable, Busy, or what the guard
        raises.
        """
        for _ in range(_COMMAND_TRIES):
            loaded = store.load(saga_id)
            definition, now = self.executor(loaded).definition, self.now(loaded)
            guard(loaded)
            move = Move(loaded)
            for trigger in triggers:
                move = move.then(definition, trigger, now)
            saved = self.save(move, definition, now, actor=actor, reason=reason)
            if saved is not None:
                return saved
        raise Busy(f"saga {saga_id} is being changed by others")

    def lose(self, saga_id: UUID, owner: str) -> None:
        """End the lease of a worker that is known to be gone, so that the saga is due now.

        One that this process cannot drive is left alone: its lease ends by itself.
        """
        try:
            loaded = store.load(saga_id)
            definition, now = self.executor(loaded).definition, self.now(loaded)
            move = Move(loaded).then(definition, tr.Lose(owner=owner), now)
        except (Saga.DoesNotExist, store.Unreadable, UnknownDefinition, Illegal):
            return
        if self.save(move, definition, now, actor=self.owner) is not None:
            break_lock(saga_id)

    def drive(self, saga_id: UUID, *, stopping: Callable[[], bool] = lambda: False) -> None:
        """Take the lease if the saga is due, and make its calls until it waits or ends."""
        with saga_lock(saga_id, self.lease.total_seconds()) as mine:
            if mine:
                self._drive(saga_id, stopping)

    def go_on(self, loaded: store.Loaded, stopping: Callable[[], bool]) -> None:
        """Make the calls of a saga that was created with a claim."""
        traced = trace.of_saga(loaded.id, loaded.trace)
        with bound_contextvars(saga_id=str(loaded.id), trace_id=traced.trace_id):
            keep = self.lease.total_seconds()  # then it is the workers', who wait for nobody
            Drive(self, self.executor(loaded), stopping, keep=keep).go_on(loaded)

    def _drive(self, saga_id: UUID, stopping: Callable[[], bool]) -> None:
        try:
            loaded = store.load(saga_id)
        except Saga.DoesNotExist:
            return  # purged since the message was sent
        except store.Unreadable as error:
            logger.error("saga %s: %s", saga_id, error)
            unreadable.claim(saga_id, str(error), owner=self.owner, lease=self.lease)
            return
        traced = trace.of_saga(saga_id, loaded.trace)
        with bound_contextvars(saga_id=str(saga_id), trace_id=traced.trace_id):
            self._go_on(loaded, stopping)

    def _go_on(self, loaded: store.Loaded, stopping: Callable[[], bool]) -> None:
        try:
            executor = self.executor(loaded)
        except UnknownDefinition as unknown:
            self._park(loaded, str(unknown))
            return
        if loaded.state.crashes < _SUSPECT:
            Drive(self, executor, stopping).run(loaded)
        elif self._suspect.acquire(blocking=False):
            # What crashed with it may be to blame: alone, only the one at fault crashes again.
            try:
                Drive(self, executor, stopping).run(loaded)
            finally:
                self._suspect.release()

    def _park(self, loaded: store.Loaded, why: str) -> None:
        steps = tuple(StepDefinition(name=name, compensation=undo) for name, undo in loaded.steps)
        definition = Definition(type=loaded.type, version=loaded.definition_version, steps=steps)
        now = self.now(loaded)
        try:
            trigger = tr.Park(reason=why, wait=self.park)
            move = Move(loaded).then(definition, trigger, now)
        except Illegal:
            return  # not due
        self.save(move, definition, now, actor=self.owner)
