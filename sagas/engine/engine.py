"""The engine: create, command and drive sagas.

Every write follows one path: load, decide, save with the events, tell the observers.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection, transaction

from sagas.domain import triggers as tr
from sagas.domain.decide import decide
from sagas.domain.definition import Definition, StepDefinition
from sagas.domain.events import Event, SagaCreated, replay
from sagas.domain.rules import Illegal
from sagas.domain.state import SagaState
from sagas.engine import store
from sagas.engine.lock import saga_lock
from sagas.engine.ports import Catalog, Executor, Observer, Recorded, StepCall
from sagas.models import Saga

logger = logging.getLogger(__name__)

SYSTEM = "system"
_COMMAND_TRIES = 10
_KEEP_ANSWER = 120.0
"""Seconds for which a worker keeps an answer while the database is away."""

_SEND_MARGIN = 0.5
"""Seconds before the lease's end after which no call is sent any more."""


class UnknownDefinition(Exception):
    """No code here knows this version of the saga type."""


class Busy(Exception):
    """Other writers kept being first; the command changed nothing and may be sent again."""


class Engine:
    """Drives sagas of the catalog's types under leases of a fixed length."""

    def __init__(self, catalog: Catalog, *, owner: str, lease: timedelta, park: timedelta) -> None:
        self.catalog = catalog
        self.owner = owner
        self.lease = lease
        self.park = park
        self.observers: list[Observer] = []

    def create(
        self, saga: Saga, definition: Definition, *, execute: bool, actor: str, reason: str = ""
    ) -> None:
        """Insert the saga, with its execute if wanted. Raises IntegrityError on a used key."""
        events: tuple[Event, ...] = (SagaCreated(steps=tuple(s.name for s in definition.steps)),)
        if execute:
            events += decide(definition, replay(events), tr.Execute(), saga.created_at)
        with transaction.atomic():
            state = store.insert(saga, definition, events, actor=actor, reason=reason)
        self._tell(
            Recorded(
                saga_id=saga.id,
                saga_type=saga.type,
                before=SagaState(),
                after=state,
                events=events,
                at=saga.created_at,
                started_at=saga.started_at,
            )
        )

    def command(self, saga_id: UUID, trigger: tr.Trigger, *, actor: str, reason: str) -> None:
        """Apply a person's operation.

        Raises Illegal, Saga.DoesNotExist, UnknownDefinition or Busy.
        """
        for _ in range(_COMMAND_TRIES):
            loaded = store.load(saga_id)
            definition = self._executor(loaded).definition
            if self._save(loaded, definition, trigger, actor=actor, reason=reason):
                return
        raise Busy(f"saga {saga_id} is being changed by others")

    def drive(self, saga_id: UUID, *, stopping: Callable[[], bool] = lambda: False) -> None:
        """Take the lease if the saga is due, and make its calls until it waits or ends."""
        with saga_lock(saga_id, self.lease.total_seconds()) as mine:
            if mine:
                self._drive(saga_id, stopping)

    def _drive(self, saga_id: UUID, stopping: Callable[[], bool]) -> None:
        claimed = self._claim(saga_id)
        while claimed is not None and claimed[0].state.owner == self.owner:
            work, executor = claimed
            step = work.state.calling
            if step is None:
                return
            outcome = executor.perform(self._step_call(work))
            answer = tr.Answer(
                outcome=outcome,
                lease=self.lease,
                spread=random.random(),
                hand_back=stopping(),
            )
            claimed = self._record(work, executor, answer)

    def _claim(self, saga_id: UUID) -> tuple[store.Loaded, Executor] | None:
        try:
            loaded = store.load(saga_id)
        except Saga.DoesNotExist:
            return None  # purged since the message was sent
        except (ValueError, TypeError, KeyError) as error:
            # Another version's code may understand it; meanwhile it must not hold others up.
            logger.exception("saga %s cannot be read", saga_id)
            store.set_aside(saga_id, f"its rows cannot be read: {error}", self.park, self.owner)
            return None
        try:
            executor = self._executor(loaded)
        except UnknownDefinition as unknown:
            self._park(loaded, str(unknown))
            return None
        claim = tr.Claim(owner=self.owner, lease=self.lease)
        try:
            work = self._save(loaded, executor.definition, claim, actor=self.owner)
        except Illegal:
            return None  # not due: a late or doubled message, or another worker has it
        return None if work is None else (work, executor)

    def _record(
        self, work: store.Loaded, executor: Executor, answer: tr.Answer
    ) -> tuple[store.Loaded, Executor] | None:
        """Save an answer, through a database that is away for a while; None if it is not ours.

        After an error nobody knows whether the commit took place, and after a lost race what
        changed: the saga is read again, and the answer is saved only if its call is still open.
        """
        call, wait = _open_call(work.state), 0.1
        give_up = time.monotonic() + _KEEP_ANSWER
        while True:
            try:
                saved = self._save(work, executor.definition, answer, actor=self.owner)
                if saved is not None:
                    return saved, executor
                fresh = store.load(work.id)
            except (OperationalError, InterfaceError) as error:
                if time.monotonic() > give_up:
                    raise
                logger.warning("database away, answer kept: %s", error)
                connection.close()
                time.sleep(wait)
                wait = min(wait * 2, 2.0)
                fresh = self._reload(work)
            if fresh.state.epoch != work.state.epoch:
                logger.warning("lease of saga %s lost, answer dropped", work.id)
                return None
            if _open_call(fresh.state) != call:
                return fresh, executor  # the commit whose answer was lost had taken place
            work = fresh

    def _reload(self, work: store.Loaded) -> store.Loaded:
        try:
            return store.load(work.id)
        except (OperationalError, InterfaceError):
            return work  # still away: the next save fails in the same way and waits again

    def _park(self, loaded: store.Loaded, why: str) -> None:
        steps = tuple(StepDefinition(name=name, compensation=undo) for name, undo in loaded.steps)
        definition = Definition(type=loaded.type, version=loaded.definition_version, steps=steps)
        trigger = tr.Park(reason=why, wait=self.park)
        try:
            self._save(loaded, definition, trigger, actor=self.owner)
        except Illegal:
            return

    def _save(
        self,
        loaded: store.Loaded,
        definition: Definition,
        trigger: tr.Trigger,
        *,
        actor: str,
        reason: str = "",
    ) -> store.Loaded | None:
        now = loaded.now()
        events = decide(definition, loaded.state, trigger, now)
        state = store.save(loaded, definition, events, now=now, actor=actor, reason=reason)
        if state is None:
            return None
        self._tell(
            Recorded(
                saga_id=loaded.id,
                saga_type=loaded.type,
                before=loaded.state,
                after=state,
                events=events,
                at=now,
                started_at=loaded.started_at,
            )
        )
        return replace(loaded, state=state)

    def _executor(self, loaded: store.Loaded) -> Executor:
        executor = self.catalog.find(loaded.type, loaded.definition_version)
        version = f"version {loaded.definition_version} of {loaded.type!r}"
        if executor is None:
            raise UnknownDefinition(f"no code here knows {version}")
        steps = tuple((step.name, step.compensation) for step in executor.definition.steps)
        if steps != loaded.steps:
            raise UnknownDefinition(f"the code's steps of {version} are not those of this saga")
        return executor

    def _step_call(self, work: store.Loaded) -> StepCall:
        step = work.state.calling
        assert step is not None
        assert step.calling is not None
        assert work.state.due_at is not None
        left = (work.state.due_at - work.now()).total_seconds()
        return StepCall(
            saga_id=work.id,
            saga_type=work.type,
            run=work.state.run,
            data=work.data,
            outputs={s.name: s.output for s in work.state.steps if s.output is not None},
            step=step.name,
            kind=step.calling,
            attempt=step.attempts_of(step.calling),
            recorded=step.request_of(step.calling),
            expires=time.monotonic() + left - _SEND_MARGIN,
        )

    def _tell(self, recorded: Recorded) -> None:
        # At once, unless a caller has a transaction open: then when that has committed.
        transaction.on_commit(partial(self._observe, recorded))

    def _observe(self, recorded: Recorded) -> None:
        for observer in self.observers:
            try:
                observer(recorded)
            except Exception:
                # The commit stands whatever becomes of a wake-up, a metric or a log line.
                logger.exception("an observer failed")


def _open_call(state: SagaState) -> tuple[object, ...]:
    step = state.calling
    if step is None or step.calling is None:
        return ()
    return (state.run, step.name, step.calling, step.attempts_of(step.calling))
