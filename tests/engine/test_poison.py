"""Sagas that harm their workers are stopped, and hold nobody up."""

from __future__ import annotations

import sys
from datetime import timedelta
from threading import Event, Thread
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, connections

from sagas.domain import triggers as tr
from sagas.domain.decide import MAX_CRASHES
from sagas.domain.events import replay
from sagas.domain.outcome import Outcome
from sagas.domain.state import Effect, Json, SagaStatus, StepStatus
from sagas.engine import unreadable
from sagas.engine.engine import Engine
from sagas.engine.ports import StepCall
from sagas.models import Saga, SagaStep
from tests.api.client import on_servers
from tests.engine.stage import OK, Stage, kinds, let_lease_end, state_of

pytestmark = pytest.mark.django_db(transaction=True)


class Killed(BaseException):
    """The process ends here: nothing of ours runs any more."""


@pytest.fixture
def stage() -> Stage:
    return Stage()


def kills(step: str) -> Any:
    def build(call: StepCall) -> Json:
        if call.step == step:
            raise Killed
        return {"body": "{}"}

    return build


def crash(stage: Stage, saga_id: UUID, engine: Engine | None = None) -> None:
    with pytest.raises(Killed):
        (engine or stage.engine()).drive(saga_id)
    let_lease_end(saga_id)


@pytest.mark.parametrize(
    ("step", "crashes", "called"),
    [
        ("look", 3, []),
        # The answer before is lost with its worker each time, so that its call is repeated.
        ("book", 3, ["look"] * 3),
        # A claim that has recorded an answer does not count.
        ("pay", 4, ["look"] + ["book"] * 4),
    ],
)
def test_a_saga_whose_code_kills_its_worker_is_stopped(
    stage: Stage, step: str, crashes: int, called: list[str]
) -> None:
    stage.build = kills(step)
    saga_id = stage.create()
    for _ in range(crashes):
        crash(stage, saga_id)
    stage.engine().drive(saga_id)
    state = state_of(saga_id)
    assert state.status is SagaStatus.FAILED
    assert state.reason == "its worker vanished 3 times in a row while driving it"
    assert stage.names() == called


def test_the_saga_s_code_runs_only_under_a_claim_that_is_durable(stage: Stage) -> None:
    saga_id = stage.create()
    seen = []

    def build(call: StepCall) -> Json:
        seen.append((call.step, kinds(saga_id)[-1]))
        return {"body": "{}"}

    stage.build = build
    stage.engine().drive(saga_id)
    started = "attempt_started"
    assert seen == [("look", "claimed"), ("book", started), ("pay", started)]


def test_a_call_that_cannot_be_built_stops_the_saga_and_keeps_the_answer_before(
    stage: Stage,
) -> None:
    def build(call: StepCall) -> Json:
        if call.step == "pay":
            raise KeyError("amount")
        return {"body": "{}"}

    stage.build = build
    saga_id = stage.create()
    stage.engine().drive(saga_id)
    state = state_of(saga_id)
    assert state.status is SagaStatus.FAILED
    assert state.reason == "pay: its call could not be built: KeyError: 'amount'"
    assert state.step("book").status is StepStatus.COMPLETED
    assert state.step("pay").effect is Effect.NONE
    assert kinds(saga_id)[-3:] == ["attempt_succeeded", "attempt_broken", "saga_failed"]
    stage.build = None
    stage.engine().command(saga_id, tr.Retry(), actor="anna", reason="mended")
    stage.engine().drive(saga_id)
    assert state_of(saga_id).status is SagaStatus.COMPLETED
    assert stage.names() == ["look", "book", "pay"]


def test_code_that_wants_to_exit_fails_like_any_other(stage: Stage) -> None:
    def build(call: StepCall) -> Json:
        sys.exit(3)

    stage.build = build
    saga_id = stage.create()
    stage.engine().drive(saga_id)
    assert state_of(saga_id).reason == "look: its call could not be built: SystemExit: 3"


def test_a_very_long_complaint_is_cut(stage: Stage) -> None:
    def build(call: StepCall) -> Json:
        raise ValueError("x" * 1000)

    stage.build = build
    saga_id = stage.create()
    stage.engine().drive(saga_id)
    assert len(state_of(saga_id).step("look").error) < 350


def test_a_cancel_while_the_first_call_is_built_wins(stage: Stage) -> None:
    saga_id = stage.create()

    def cancelled_meanwhile(call: StepCall) -> Json:
        stage.engine("api").command(saga_id, tr.Compensate(), actor="anna", reason="")
        return {"body": "{}"}

    stage.build = cancelled_meanwhile
    stage.engine().drive(saga_id)
    assert state_of(saga_id).status is SagaStatus.COMPENSATED
    assert stage.attempts == []


def test_a_worker_that_builds_until_its_lease_is_over_sends_nothing(stage: Stage) -> None:
    saga_id = stage.create()

    def slow(call: StepCall) -> Json:
        stage.build = None
        let_lease_end(saga_id)
        stage.engine("worker-2").drive(saga_id)
        return {"body": "from the slow one"}

    stage.build = slow
    stage.engine().drive(saga_id)
    assert stage.names() == ["look", "book", "pay"]
    assert {attempt.request["body"] for attempt in stage.attempts} == {"{}"}
    assert state_of(saga_id).epoch == 2


def test_those_that_crashed_with_it_are_not_taken_for_poison(stage: Stage) -> None:
    """One of them kills the process whenever it is driven; the others are just there."""
    engine = stage.engine()
    victim, poison = stage.create(), stage.create()
    for saga_id in (victim, poison):
        stage.build = kills("look")
        for _ in range(MAX_CRASHES - 1):
            crash(stage, saga_id)
    inside, leave = Event(), Event()

    def waits(call: StepCall) -> Outcome:
        inside.set()
        assert leave.wait(10)
        return OK

    stage.build, stage.script = None, {"look": [waits]}

    def drive() -> None:
        engine.drive(victim)
        connections.close_all()

    first = Thread(target=drive)
    first.start()
    assert inside.wait(10)
    before = kinds(poison)
    engine.drive(poison)
    assert kinds(poison) == before, "it waits until the other suspect is through"
    leave.set()
    first.join()
    assert state_of(victim).status is SagaStatus.COMPLETED
    stage.build = kills("look")
    crash(stage, poison, engine)
    engine.drive(poison)
    assert state_of(poison).status is SagaStatus.FAILED


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (lambda rows: rows.update(effect="bogus"), "'bogus' is not a valid Effect"),
        (lambda rows: rows.update(calling="x"), "'x' is not a valid CallKind"),
    ],
)
def test_rows_that_cannot_be_read_are_stopped_after_a_few_tries(
    stage: Stage, wrong: Any, why: str
) -> None:
    saga_id = stage.create()
    wrong(SagaStep.objects.filter(saga_id=saga_id, name="pay"))
    short = Engine(stage, owner="worker-1", lease=timedelta(0), park=timedelta(0))
    for crashes in range(1, MAX_CRASHES + 1):
        short.drive(saga_id)
        assert Saga.objects.get(pk=saga_id).crashes == crashes
    short.drive(saga_id)
    row = Saga.objects.get(pk=saga_id)
    assert (row.status, row.reason) == ("failed", f"its rows cannot be read: {why}")
    assert kinds(saga_id)[2:] == ["claimed"] * (MAX_CRASHES + 1) + ["saga_failed"]
    assert stage.attempts == []
    # Mended by hand, it can be retried.
    SagaStep.objects.filter(saga_id=saga_id).update(effect="none", calling="")
    assert state_of(saga_id).status is SagaStatus.FAILED
    stage.engine().command(saga_id, tr.Retry(), actor="anna", reason="mended")
    stage.engine().drive(saga_id)
    assert state_of(saga_id).status is SagaStatus.COMPLETED


@on_servers
def test_so_are_values_that_the_driver_cannot_read(stage: Stage) -> None:
    saga_id = stage.create()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE sagas_saga SET deadline = 'infinity' WHERE id = %s", [saga_id])
    short = Engine(stage, owner="worker-1", lease=timedelta(0), park=timedelta(0))
    for _ in range(MAX_CRASHES + 1):
        short.drive(saga_id)
    found = Saga.objects.filter(pk=saga_id).values_list("status", "reason").get()
    assert found[0] == "failed"
    assert "cannot be read" in found[1]


def test_of_two_that_cannot_read_it_one_counts(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    saga_id = stage.create()
    SagaStep.objects.filter(saga_id=saga_id, name="pay").update(effect="bogus")
    name = "sagas.engine.unreadable.replay"

    def another_was_first(*args: Any) -> Any:
        monkeypatch.setattr(name, replay)
        stage.engine("worker-2").drive(saga_id)
        return replay(*args)

    monkeypatch.setattr(name, another_was_first)
    unreadable.claim(saga_id, "why", owner="worker-1", lease=timedelta(seconds=5))
    assert kinds(saga_id)[2:] == ["claimed"]
    assert Saga.objects.get(pk=saga_id).owner == "worker-2"


def test_rows_that_cannot_be_read_hold_nobody_up(stage: Stage) -> None:
    saga_id = stage.create()
    SagaStep.objects.filter(saga_id=saga_id, name="pay").update(effect="bogus")
    engine = stage.engine()
    engine.drive(saga_id)
    engine.drive(saga_id)
    assert kinds(saga_id)[2:] == ["claimed"], "not due again before a lease is over"
    good = stage.create()
    engine.drive(good)
    assert state_of(good).status is SagaStatus.COMPLETED
