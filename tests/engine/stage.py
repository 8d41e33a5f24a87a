"""A saga type of three steps whose answers the test writes, and an engine to drive it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

from django.core.cache import cache
from django.db import connection

from sagas import selectors
from sagas.domain.codec import decode
from sagas.domain.definition import Definition, RetryPolicy, StepDefinition
from sagas.domain.events import replay
from sagas.domain.outcome import Outcome, Verdict
from sagas.domain.state import CallKind, Json, SagaState
from sagas.engine import store
from sagas.engine.engine import Engine
from sagas.engine.ports import Attempt, StepCall
from sagas.models import Saga

LEASE = timedelta(seconds=5)
NO_WAIT = RetryPolicy(delay=timedelta(0))

OK = Outcome(verdict=Verdict.SUCCEEDED, output={"id": "x"})
NO = Outcome(verdict=Verdict.REFUSED, error="no")
LOST = Outcome(verdict=Verdict.IN_DOUBT, error="time-out")
AWAY = Outcome(verdict=Verdict.NOT_APPLIED, error="connection refused")

Answer = Callable[[StepCall], Outcome]


class Stage:
    """The catalog and its only executor; answers are taken from `script` by call, in order."""

    def __init__(self) -> None:
        self.definition = Definition(
            type="stage",
            version=1,
            steps=(
                StepDefinition(name="look", retry=NO_WAIT),
                StepDefinition(name="book", compensation="unbook", retry=NO_WAIT),
                StepDefinition(name="pay", compensation="unpay", retry=NO_WAIT),
            ),
        )
        self.script: dict[str, list[Outcome | Answer]] = {}
        self.build: Callable[[StepCall], Json] | None = None
        """What builds the requests, in the place of one that always gives the same."""

        self.prepared: list[StepCall] = []
        self.attempts: list[Attempt] = []
        self.left: list[float] = []
        """For each attempt, the seconds within which it must be sent."""

        self.known = True

    def find(self, saga_type: str, version: int) -> Stage | None:
        return self if self.known else None

    def prepare(self, call: StepCall) -> Json:
        assert not connection.in_atomic_block, "a saga's code ran inside a transaction"
        self.prepared.append(call)
        if self.build is not None:
            return self.build(call)
        return {"path": self.name_of(call), "body": "{}"}

    def perform(self, attempt: Attempt) -> Outcome:
        assert not connection.in_atomic_block, "a call was made inside a transaction"
        call = attempt.call
        self.attempts.append(attempt)
        self.left.append(attempt.expires - time.monotonic())
        answers = self.script.get(self.name_of(call), [])
        answer = answers.pop(0) if answers else OK
        return answer(call) if callable(answer) else answer

    def name_of(self, call: StepCall) -> str:
        return call.step if call.kind is CallKind.ACTION else f"un{call.step}"

    def names(self) -> list[str]:
        """What was called, in order."""
        return [self.name_of(attempt.call) for attempt in self.attempts]

    def engine(self, owner: str = "worker-1", lease: timedelta = LEASE) -> Engine:
        return Engine(self, owner=owner, lease=lease, park=timedelta(0))

    def create(self, *, execute: bool = True) -> UUID:
        """A new saga, due at once when executed."""
        saga = Saga(
            type="stage",
            definition_version=1,
            data={"amount": "1.00"},
            created_at=selectors.database_now(),
        )
        self.engine().create(saga, self.definition, execute=execute, actor="test")
        return saga.id


def state_of(saga_id: UUID) -> SagaState:
    """The saga's state by its row, after checking that its events give the same."""
    state = store.load(saga_id).state
    events = list(selectors.saga_events(saga_id))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert replay(decode(event.kind, event.data) for event in events) == state
    return state


@contextmanager
def asked() -> Iterator[list[str]]:
    """The statements that the database is asked meanwhile, but for those of transactions."""
    statements: list[str] = []

    def note(execute: Callable[..., object], sql: str, *rest: object) -> object:
        statements.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        yield statements


def kinds(saga_id: UUID) -> list[str]:
    """The kinds of the saga's events, in order."""
    return [event.kind for event in selectors.saga_events(saga_id)]


def let_lease_end(saga_id: UUID) -> None:
    """As if the time of the lease, and of the lock in front of it, had passed."""
    cache.delete(f"saga-lock:{saga_id}")
    # The one write around the engine: the row and its last `until` go back together.
    past = selectors.database_now() - timedelta(seconds=1)
    Saga.objects.filter(pk=saga_id).update(due_at=past)
    event = selectors.saga_events(saga_id).filter(data__has_key="until").last()
    assert event is not None
    selectors.saga_events(saga_id).filter(pk=event.pk).update(
        data=event.data | {"until": past.isoformat()}
    )
