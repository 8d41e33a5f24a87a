"""Plays one saga on the real engine, with a clock and answers of its own, and reads its rows.

All of it takes place in a transaction that is rolled back: no worker ever sees the saga.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from executors.base import SagaExecutor
from executors.sample import sample
from sagas.domain import triggers as tr
from sagas.domain.definition import Definition
from sagas.domain.outcome import Outcome, Verdict
from sagas.domain.state import CallKind, Json
from sagas.engine import store
from sagas.engine.engine import Engine
from sagas.engine.ports import Attempt, StepCall
from sagas.models import Saga, SagaEvent, SagaStep

BEGIN = datetime(2001, 1, 1, tzinfo=UTC)
"""When the played saga is created; the copies of it get other times."""

SAGA_ID = UUID("00000000-0000-7000-8000-00000000c0de")
"""The played saga's id, which the copies' take the place of."""

FOR_EVER = timedelta(days=3650)
"""Waits and leases of what stays in progress: no worker is to take it over."""


class Vanished(Exception):
    """The worker is gone with its call in flight."""


Answer = Outcome | Exception


@dataclass(frozen=True, slots=True)
class Rows:
    """What the play left in the tables: each row as its columns' values, in `COLUMNS`' order."""

    saga: tuple[Any, ...]
    steps: list[tuple[Any, ...]]
    events: list[tuple[Any, ...]]


def _columns(model: type[Saga | SagaStep | SagaEvent]) -> tuple[str, ...]:
    fields = model._meta.concrete_fields
    return tuple(f.attname for f in fields if model is Saga or not f.primary_key)


COLUMNS = {model: _columns(model) for model in (Saga, SagaStep, SagaEvent)}
"""The columns of each table that a copy fills; rows number themselves."""


class _Timed(Engine):
    """An engine by whose clock everything takes a few milliseconds."""

    def __init__(self, play: Play, **settings: Any) -> None:
        super().__init__(play, **settings)
        self._play = play

    def now(self, loaded: store.Loaded) -> datetime:
        return self._play.passes(self._play.chance.uniform(0.001, 0.004))


class Play:
    """One saga on the stage: what is asked of it, and how its calls are answered."""

    def __init__(self, executor: SagaExecutor, data: Json, texts: list[str], seed: str) -> None:
        self.executor = executor
        self.definition: Definition = executor.definition
        self.chance = random.Random(seed)
        self.clock = BEGIN
        self._data, self._texts = data, texts
        self._answers: dict[str, list[Answer]] = defaultdict(list)
        self._workers = [f"worker-{n}:{4100 + n}:{n:08x}" for n in self.chance.sample(range(9), 4)]
        self._lease = timedelta(seconds=7)

    # --- What a scenario says -----------------------------------------------------------------

    @property
    def money(self) -> str:
        """The step that moves the money."""
        return next(step.name for step in self.executor.steps if step.participant == "payment")

    @property
    def last(self) -> str:
        """The last step that has a compensation."""
        return next(step.name for step in self.definition.backward())

    def back(self, step: str) -> str:
        """The name of the step's compensation."""
        return self.definition.step(step).compensation

    def whom(self, name: str) -> str:
        """The participant that an action or compensation calls."""
        rows = self.executor.steps
        return next(row.participant for row in rows if name in (row.name, row.compensation))

    def answer(self, name: str, *answers: Answer) -> None:
        """How the calls of that action or compensation are answered first; then all is well."""
        self._answers[name] += answers

    def patient(self) -> None:
        """From here on all waits and leases are for ever."""
        policy = {"delay": FOR_EVER, "max_delay": FOR_EVER}
        steps = (replace(s, retry=replace(s.retry, **policy)) for s in self.definition.steps)  # type: ignore[arg-type]
        self.definition = replace(self.definition, steps=tuple(steps))
        self._lease = FOR_EVER

    def create(self, *, execute: bool = True, **changed: Any) -> None:
        """The saga; `changed` is what its definition has otherwise, such as the version."""
        self.definition = replace(self.definition, **changed)
        saga = Saga(
            id=SAGA_ID,
            type=self.definition.type,
            definition_version=self.definition.version,
            data=dict(self._data),
            created_at=self.clock,
        )
        self._engine().create(saga, self.definition, execute=execute, actor="api", reason="")

    def drive(self) -> None:
        """Workers drive it as far as it goes before a wait that is for ever."""
        while True:
            due_at = Saga.objects.values_list("due_at", flat=True).get(pk=SAGA_ID)
            if due_at is None or due_at - self.clock > FOR_EVER / 2:
                return
            self.clock = max(self.clock, due_at) + timedelta(seconds=0.01)
            try:
                self._engine().drive(SAGA_ID)
            except Vanished:
                self._workers.append(self._workers.pop(0))

    def ask(self, trigger: tr.Trigger, reason: str, after: timedelta) -> None:
        """A person asks for an operation, so long after what came before."""
        self.clock += after
        actor = f"user:{self.chance.choice(('anna', 'boris', 'chen'))}"
        self._engine().command(SAGA_ID, trigger, actor=actor, reason=reason)

    # --- The catalog and the executor that the engine sees ------------------------------------

    def find(self, saga_type: str, version: int) -> Play | None:
        return self if version == self.executor.version else None

    def prepare(self, call: StepCall) -> Json:
        return self.executor.build(call).to(self.executor.step(call.step).participant)

    def perform(self, attempt: Attempt) -> Outcome:
        call = attempt.call
        step = self.executor.step(call.step)
        name = step.name if call.kind is CallKind.ACTION else step.compensation
        waiting = self._answers[name]
        answer = waiting.pop(0) if waiting else Outcome(verdict=Verdict.SUCCEEDED)
        if isinstance(answer, Exception):
            self.passes(0.05)
            raise answer
        took = answer.duration.total_seconds() or self.chance.lognormvariate(-3.6, 0.5)
        if answer.verdict is not Verdict.NOT_SENT:
            self.passes(took)
            answer = replace(answer, duration=timedelta(seconds=took))
        if answer.verdict is not Verdict.SUCCEEDED:
            return answer
        text = self._texts[self.executor.steps.index(step)]
        output = sample(step.answer, text) if call.kind is CallKind.ACTION else {}
        return replace(answer, output=output, answer={"status": 200})

    def passes(self, seconds: float) -> datetime:
        """The time after so long."""
        self.clock += timedelta(seconds=seconds)
        return self.clock

    def _engine(self) -> Engine:
        return _Timed(self, owner=self._workers[0], lease=self._lease, park=FOR_EVER)


def rows_of(play: Play, scenario: Callable[[Play], None]) -> Rows:
    """Plays the scenario; the database is as before."""
    with _undone():
        scenario(play)
        saga = Saga.objects.filter(pk=SAGA_ID).values_list(*COLUMNS[Saga])
        steps = SagaStep.objects.filter(saga=SAGA_ID).values_list(*COLUMNS[SagaStep])
        events = SagaEvent.objects.filter(saga=SAGA_ID).values_list(*COLUMNS[SagaEvent])
        return Rows(saga.get(), list(steps.order_by("position")), list(events.order_by("seq")))


@contextmanager
def _undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
