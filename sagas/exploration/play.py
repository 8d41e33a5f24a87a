"""Plays one scenario with one saga, through a crash, to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.core.cache import cache
from django.db import IntegrityError, connection

from executors.base import SagaExecutor
from executors.participants import participants
from sagas import selectors
from sagas.domain import triggers as tr
from sagas.domain.rules import Illegal
from sagas.domain.state import SagaStatus
from sagas.engine import store
from sagas.engine.engine import Engine
from sagas.engine.ports import Executor
from sagas.exploration.boundaries import Boundaries, Crash, Point
from sagas.exploration.standin import Behaviour
from sagas.models import Saga, new_saga_id

_DRIVES = 200
"""After so many drives a saga that has not ended never will."""


@dataclass(frozen=True)
class Scenario:
    """What a client asks for, and what the participants do."""

    name: str
    behaviour: Behaviour
    ends: frozenset[SagaStatus]
    """The statuses that it may end in, wherever it crashes."""

    then: tr.Trigger | None = None
    """What a person asks for when the saga has ended the first time."""


@dataclass
class Played:
    """How a play went."""

    point: Point | None
    boundaries: list[str]
    saga_id: UUID | None = None
    status: str = ""
    claims: int = 0
    """How often a worker took it."""

    calls: int = 0
    """Calls that arrived at the participants."""

    problems: list[str] = field(default_factory=list)

    @property
    def boundary(self) -> str:
        """What was crossed where it crashed."""
        return self.boundaries[self.point.number - 1] if self.point else ""


class Clock:
    """The database's time, which the player moves on instead of waiting."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)
        """How far it was moved on."""

        self._skew = selectors.database_now() - datetime.now(UTC)

    def now(self) -> datetime:
        """The time; this machine's clock carries it on."""
        return datetime.now(UTC) + self._skew + self.ahead


class _Engine(Engine):
    def __init__(self, executor: Executor, clock: Clock, owner: str) -> None:
        self._only, self._clock = executor, clock
        lease = timedelta(seconds=7)
        super().__init__(self, owner=owner, lease=lease, park=lease)

    def find(self, saga_type: str, version: int) -> Executor:
        return self._only

    def now(self, loaded: store.Loaded) -> datetime:
        return loaded.now() + self._clock.ahead


class Player:
    """Plays a saga type with this data; sagas are made in the present database."""

    def __init__(self, executor: SagaExecutor, data: dict[str, Any], clock: Clock) -> None:
        self._executor = executor
        self._data = data
        self._clock = clock

    def play(self, scenario: Scenario, point: Point | None = None) -> Played:
        """Create, execute, drive and command a new saga, and crash at the point on the way."""
        boundaries = Boundaries(point)
        played = Played(point, boundaries.crossed)
        key = f"explore:{new_saga_id()}"
        participants.cache_clear()  # breakers begin closed, connections anew
        try:
            saga_id = self._client(boundaries, lambda engine: self._create(engine, key))
            played.saga_id = saga_id
            for trigger in (tr.Execute(), scenario.then):
                if trigger is not None:
                    self._client(boundaries, partial(self._ask, saga_id=saga_id, trigger=trigger))
                    self._drain(boundaries, saga_id)
        except _Stuck as stuck:
            played.problems.append(str(stuck))
        if point is not None and not boundaries.crashed:
            played.problems.append("the boundary was not reached again")
        if played.saga_id is not None:
            row = Saga.objects.get(pk=played.saga_id)
            played.status, played.claims = row.status, row.epoch
            if row.status not in scenario.ends:
                wanted = " or ".join(sorted(scenario.ends))
                played.problems.append(f"{row.status}, not {wanted}: {row.reason}")
        return played

    # The client: it repeats what it got no answer to.

    def _client(self, boundaries: Boundaries, ask: Callable[[Engine], Any]) -> Any:
        for _ in range(3):
            with _process(boundaries):
                return ask(self._engine(boundaries, "client"))
        raise _Stuck("a client's request never came through")

    def _create(self, engine: Engine, key: str) -> UUID:
        saga = Saga(
            type=self._executor.saga_type,
            definition_version=self._executor.version,
            data=self._data,
            idempotency_key=key,
            created_at=selectors.database_now() + self._clock.ahead,
        )
        try:
            engine.create(saga, self._executor.definition, execute=False, actor="api:client")
        except IntegrityError:
            return Saga.objects.values_list("id", flat=True).get(idempotency_key=key)
        return saga.id

    def _ask(self, engine: Engine, saga_id: UUID, trigger: tr.Trigger) -> None:
        try:
            engine.command(saga_id, trigger, actor="api:client", reason="")
        except Illegal:
            return  # an earlier request of ours came through, and only its answer was lost

    # The workers: after a crash another one takes over when the lease is over.

    def _drain(self, boundaries: Boundaries, saga_id: UUID) -> None:
        for number in range(_DRIVES):
            due_at = Saga.objects.values_list("due_at", flat=True).get(pk=saga_id)
            if due_at is None:
                return
            late = due_at - self._clock.now()
            self._clock.ahead += max(late, timedelta(0)) + timedelta(milliseconds=1)
            with _process(boundaries):
                self._engine(boundaries, f"worker-{number}").drive(saga_id)
        raise _Stuck(f"it did not end in {_DRIVES} drives")

    def _engine(self, boundaries: Boundaries, owner: str) -> Engine:
        return _Engine(boundaries.of(self._executor), self._clock, owner)


class _Stuck(Exception):
    """The play does not come to an end."""


@contextmanager
def _process(boundaries: Boundaries) -> Iterator[None]:
    """What a process does until it crashes: then its connection and its memory are gone."""
    try:
        with boundaries.of_the_database():
            yield
    except Crash:
        connection.close()
        cache.clear()  # the lock of a dead worker outlives it, by less than its lease
