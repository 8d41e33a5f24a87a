"""Many at once: only one wins, and the others change nothing."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from threading import Barrier
from uuid import UUID

import pytest
from django.db import connections, transaction

from sagas.domain import triggers as tr
from sagas.domain.outcome import Outcome
from sagas.domain.rules import Illegal
from sagas.domain.state import Json, SagaStatus
from sagas.engine import store
from sagas.engine.ports import Recorded
from sagas.engine.sweeper import Sweeper
from tests.engine.stage import LEASE, NO, OK, Stage, kinds, let_lease_end, state_of

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(number: int, work: Callable[[int], None]) -> list[Exception | None]:
    """What each of the threads, started together, gave or raised."""
    gate = Barrier(number)

    def run(index: int) -> Exception | None:
        gate.wait()
        try:
            work(index)
        except Exception as error:
            return error
        finally:
            connections.close_all()
        return None

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(run, range(number)))


def test_of_twenty_executes_one_wins() -> None:
    stage = Stage()
    saga_id = stage.create(execute=False)

    def execute(index: int) -> None:
        stage.engine().command(saga_id, tr.Execute(), actor=f"client-{index}", reason="")

    results = at_once(20, execute)
    assert results.count(None) == 1
    assert all(isinstance(result, Illegal) for result in results if result is not None)
    assert kinds(saga_id).count("execute_requested") == 1


def test_execute_and_cancel_do_not_both_win() -> None:
    stage = Stage()
    for _ in range(10):
        saga_id = stage.create(execute=False)
        triggers: list[tr.Trigger] = [tr.Execute(), tr.Compensate()] * 4

        def ask(index: int, saga_id: UUID = saga_id, triggers: list[tr.Trigger] = triggers) -> None:
            stage.engine().command(saga_id, triggers[index], actor="client", reason="")

        at_once(8, ask)
        state = state_of(saga_id)
        assert state.status is SagaStatus.COMPENSATED
        assert kinds(saga_id).count("compensate_requested") == 1


def test_many_workers_drive_a_saga_once() -> None:
    stage = Stage()
    saga_id = stage.create()

    def drive(index: int) -> None:
        stage.engine(f"worker-{index}").drive(saga_id)

    assert at_once(12, drive) == [None] * 12
    assert stage.names() == ["look", "book", "pay"]
    assert state_of(saga_id).epoch == 1


def test_an_observer_that_raises_harms_nothing() -> None:
    stage = Stage()
    engine = stage.engine()

    def raises(recorded: object) -> None:
        raise RuntimeError("broken observer")

    engine.observers.append(raises)
    saga_id = stage.create()
    engine.drive(saga_id)
    assert state_of(saga_id).status is SagaStatus.COMPLETED


class Broker:
    """Counts messages, or is away."""

    def __init__(self, *, away: bool = False) -> None:
        self.away = away
        self.sent: list[UUID] = []

    def wake(self, due: Mapping[UUID, datetime]) -> None:
        if self.away:
            raise ConnectionError("broker away")
        self.sent += due


def sweeper_of(stage: Stage, broker: Broker) -> Sweeper:
    return Sweeper(wake=broker.wake, drive=stage.engine().drive, interval=60, batch=3)


def test_the_sweeper_wakes_what_is_due_the_longest_overdue_first() -> None:
    stage, broker = Stage(), Broker()
    due = [stage.create() for _ in range(5)]
    stage.create(execute=False)
    sweeper_of(stage, broker).sweep()
    assert broker.sent == due[:3]


def test_without_a_broker_the_sweeper_drives_sagas_itself() -> None:
    stage, broker = Stage(), Broker(away=True)
    stage.script = {"pay": [OK, NO]}
    due = [stage.create() for _ in range(2)]
    sweeper = sweeper_of(stage, broker)
    sweeper.sweep()
    sweeper.stop_pool()
    statuses = {state_of(saga_id).status for saga_id in due}
    assert statuses == {SagaStatus.COMPLETED, SagaStatus.COMPENSATED}


def test_a_stale_worker_cannot_save() -> None:
    stage = Stage()
    saga_id = stage.create()
    stale = store.load(saga_id)
    stage.engine().drive(saga_id)
    assert not store.save(
        stale, stage.definition, [], stale.state, now=stale.now(), actor="worker-0"
    )


def test_a_sibling_thread_that_took_the_saga_over_is_not_disturbed() -> None:
    stage = Stage()
    saga_id = stage.create()
    engine = stage.engine()

    def taken_over(call: object) -> Outcome:
        let_lease_end(saga_id)
        with suppress(KeyboardInterrupt):
            stage.engine().drive(saga_id)  # the same worker's name, in another thread
        return OK

    def asks_more(call: object) -> Outcome:
        raise AssertionError("the thread that lost its lease went on with another's call")

    def hangs(call: object) -> Outcome:
        raise KeyboardInterrupt  # stays in flight

    stage.script = {"book": [taken_over, OK], "pay": [hangs, asks_more]}
    engine.drive(saga_id)
    assert stage.names() == ["look", "book", "book", "pay"]
    assert state_of(saga_id).epoch == 2


def test_calls_expire_before_the_lease_does() -> None:
    stage = Stage()
    stage.engine().drive(stage.create())
    assert all(0 < left <= LEASE.total_seconds() - 0.5 for left in stage.left)


def test_the_lease_begins_when_the_call_is_built() -> None:
    stage = Stage()

    def slow(call: object) -> Json:
        time.sleep(0.5)
        return {"body": "{}"}

    stage.build = slow
    stage.engine().drive(stage.create())
    assert all(left > LEASE.total_seconds() - 0.9 for left in stage.left)


def test_what_is_rolled_back_is_told_to_nobody() -> None:
    stage = Stage()
    engine = stage.engine()
    told: list[Recorded] = []
    engine.observers.append(lambda recorded: told.append(recorded))
    saga_id = stage.create(execute=False)
    with suppress(RuntimeError), transaction.atomic():
        engine.command(saga_id, tr.Execute(), actor="test", reason="")
        raise RuntimeError
    assert told == []
    assert state_of(saga_id).status is SagaStatus.PENDING
    engine.command(saga_id, tr.Execute(), actor="test", reason="")
    assert len(told) == 1


def test_a_writer_of_an_old_epoch_is_refused_even_with_the_last_event() -> None:
    stage = Stage()
    loaded = store.load(stage.create())
    old = replace(loaded, state=replace(loaded.state, epoch=7))
    assert not store.save(old, stage.definition, [], old.state, now=old.now(), actor="worker-0")
