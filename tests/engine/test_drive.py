"""Driving: from a due saga to one that waits or has ended."""

import itertools
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sagas.domain import triggers as tr
from sagas.domain.definition import RetryPolicy, StepDefinition
from sagas.domain.outcome import Outcome
from sagas.domain.rules import Illegal
from sagas.domain.state import Direction, Effect, Json, SagaStatus, StepStatus
from sagas.engine.ports import StepCall
from sagas.models import Saga, SagaEvent
from tests.engine.stage import AWAY, LOST, NO, OK, Stage, asked, kinds, let_lease_end, state_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_saga_completes(stage: Stage) -> None:
    saga_id = stage.create()
    stage.engine().drive(saga_id)
    state = state_of(saga_id)
    assert state.status is SagaStatus.COMPLETED
    assert stage.names() == ["look", "book", "pay"]
    assert state.due_at is None
    assert state.owner == ""
    assert stage.attempts[2].call.outputs == {"look": {"id": "x"}, "book": {"id": "x"}}


def test_a_refusal_compensates_in_inverse_order(stage: Stage) -> None:
    stage.script = {"pay": [NO]}
    saga_id = stage.create()
    stage.engine().drive(saga_id)
    state = state_of(saga_id)
    assert state.status is SagaStatus.COMPENSATED
    assert stage.names() == ["look", "book", "pay", "unbook"]
    assert state.step("pay").status is StepStatus.FAILED
    row = Saga.objects.get(pk=saga_id)
    assert row.reason == "pay was refused: no"
    assert row.ended_at is not None


def test_a_saga_in_doubt_waits_without_a_worker_then_compensates_what_it_may_have_done(
    stage: Stage,
) -> None:
    stage.script = {"pay": [LOST, LOST, LOST, LOST]}
    saga_id = stage.create()
    stage.engine().drive(saga_id)
    waiting = state_of(saga_id)
    assert waiting.status is SagaStatus.IN_PROGRESS
    assert waiting.owner == ""
    assert waiting.step("pay").effect is Effect.IN_DOUBT
    assert Saga.objects.get(pk=saga_id).in_doubt
    for _ in range(3):
        stage.engine().drive(saga_id)
    state = state_of(saga_id)
    assert state.status is SagaStatus.COMPENSATED
    assert stage.names()[-6:] == ["pay", "pay", "pay", "pay", "unpay", "unbook"]
    assert [attempt.number for attempt in stage.attempts[2:6]] == [1, 2, 3, 4]


def test_the_same_call_is_repeated_with_the_request_of_the_first(stage: Stage) -> None:
    numbers = itertools.count()
    stage.build = lambda call: {"body": str(next(numbers))}  # another one each time
    stage.script = {"pay": [LOST]}
    saga_id = stage.create()
    stage.engine().drive(saga_id)
    stage.engine().drive(saga_id)
    assert [attempt.request["body"] for attempt in stage.attempts] == ["0", "1", "2", "2"]
    assert len(stage.prepared) == 3, "the saga's code is asked once for each call"


def test_a_saga_that_is_not_due_is_left_alone(stage: Stage) -> None:
    pending = stage.create(execute=False)
    stage.engine().drive(pending)
    assert kinds(pending) == ["saga_created"]
    slow = RetryPolicy(delay=timedelta(hours=1))
    stage.definition = stage.definition.__class__(
        type="stage",
        version=1,
        steps=(
            StepDefinition(name="look", retry=slow),
            *stage.definition.steps[1:],
        ),
    )
    stage.script = {"look": [AWAY]}
    waiting = stage.create()
    stage.engine().drive(waiting)
    before = kinds(waiting)
    stage.engine().drive(waiting)
    assert kinds(waiting) == before


def test_a_failed_compensation_stops_and_is_retried_where_it_stopped(stage: Stage) -> None:
    stage.script = {"pay": [NO], "unbook": [NO]}
    saga_id = stage.create()
    stage.engine().drive(saga_id)
    state = state_of(saga_id)
    assert state.status is SagaStatus.FAILED
    assert state.direction is Direction.COMPENSATING
    assert state.reason == "unbook was refused: no"
    stage.engine().command(saga_id, tr.Retry(), actor="anna", reason="booking is back")
    stage.engine().drive(saga_id)
    assert state_of(saga_id).status is SagaStatus.COMPENSATED
    assert stage.names()[-2:] == ["unbook", "unbook"]
    event = SagaEvent.objects.get(saga_id=saga_id, kind="retry_requested")
    assert (event.actor, event.reason) == ("anna", "booking is back")


def test_compensate_during_a_call_finishes_it_and_turns_round(stage: Stage) -> None:
    saga_id = stage.create()

    def cancelled_meanwhile(call: object) -> Outcome:
        stage.engine("api").command(
            saga_id, tr.Compensate(reason="wrong order"), actor="anna", reason=""
        )
        return OK

    stage.script = {"book": [cancelled_meanwhile]}
    stage.engine().drive(saga_id)
    assert state_of(saga_id).status is SagaStatus.COMPENSATED
    assert stage.names() == ["look", "book", "unbook"]
    assert state_of(saga_id).reason == "wrong order"
    with pytest.raises(Illegal):
        stage.engine().command(saga_id, tr.Compensate(), actor="anna", reason="again")


def test_a_stopping_worker_hands_back_after_its_call(stage: Stage) -> None:
    saga_id = stage.create()
    stage.engine().drive(saga_id, stopping=lambda: True)
    state = state_of(saga_id)
    assert stage.names() == ["look"]
    assert state.owner == ""
    assert state.step("book").attempts == 0
    stage.engine("worker-2").drive(saga_id)
    assert state_of(saga_id).status is SagaStatus.COMPLETED
    assert stage.names() == ["look", "book", "pay"]


def test_a_cancel_while_a_call_is_built_is_gone_on_with_at_once(stage: Stage) -> None:
    saga_id = stage.create()
    stage.engine().drive(saga_id, stopping=lambda: len(stage.attempts) == 2)
    assert stage.names() == ["look", "book"]

    def cancelled_meanwhile(call: StepCall) -> Json:
        stage.build = None
        stage.engine("api").command(saga_id, tr.Compensate(), actor="anna", reason="")
        return {"body": "never sent"}

    stage.build = cancelled_meanwhile
    stage.engine("worker-2").drive(saga_id)
    assert stage.names() == ["look", "book", "unbook"]
    state = state_of(saga_id)
    assert (state.status, state.epoch) == (SagaStatus.COMPENSATED, 2)


def test_an_unknown_definition_is_parked_and_goes_on_when_the_code_is_back(stage: Stage) -> None:
    saga_id = stage.create()
    stage.known = False
    stage.engine().drive(saga_id)
    state = state_of(saga_id)
    assert state.status is SagaStatus.IN_PROGRESS
    assert state.waiting == "no code here knows version 1 of 'stage'"
    assert stage.attempts == []
    stage.known = True
    stage.engine().drive(saga_id)
    assert state_of(saga_id).status is SagaStatus.COMPLETED


def test_changed_steps_under_the_same_version_are_not_driven(stage: Stage) -> None:
    saga_id = stage.create()
    stage.definition = stage.definition.__class__(
        type="stage", version=1, steps=stage.definition.steps[:2]
    )
    stage.engine().drive(saga_id)
    assert "are not those of this saga" in state_of(saga_id).waiting
    assert stage.attempts == []


def test_a_dead_workers_call_is_in_doubt_and_repeated(stage: Stage) -> None:
    saga_id = stage.create()

    class Killed(BaseException):
        pass

    def dies(call: object) -> Outcome:
        raise Killed

    stage.script = {"pay": [dies]}
    with pytest.raises(Killed):
        stage.engine().drive(saga_id)
    stage.engine("worker-2").drive(saga_id)
    assert stage.names()[-1] == "pay", "its lease still holds"
    let_lease_end(saga_id)
    stage.engine("worker-2").drive(saga_id)
    state = state_of(saga_id)
    assert state.status is SagaStatus.COMPLETED
    assert stage.names() == ["look", "book", "pay", "pay"]
    assert state.epoch == 2
    assert "attempt_interrupted" in kinds(saga_id)


def test_a_worker_paused_past_its_lease_changes_nothing_when_it_wakes(stage: Stage) -> None:
    saga_id = stage.create()

    def paused(call: object) -> Outcome:
        let_lease_end(saga_id)
        stage.engine("worker-2").drive(saga_id)
        return NO

    stage.script = {"pay": [paused, OK]}
    stage.engine("worker-1").drive(saga_id)
    state = state_of(saga_id)
    assert state.status is SagaStatus.COMPLETED
    assert "attempt_refused" not in kinds(saga_id)
    epochs = SagaEvent.objects.filter(saga_id=saga_id).order_by("seq").values_list("epoch")
    assert list(epochs) == sorted(epochs)


@pytest.mark.parametrize(("requests", "commits"), [(1, 8), (2, 9)])
def test_a_five_step_saga_costs_one_commit_a_step_plus_three(requests: int, commits: int) -> None:
    """Created and executed in one request; in two, the second costs a commit of its own."""
    stage = Stage()
    steps = tuple(StepDefinition(name=name) for name in "abcde")
    stage.definition = stage.definition.__class__(type="stage", version=1, steps=steps)
    with CaptureQueriesContext(connection) as queries, asked() as statements:
        saga_id = stage.create(execute=requests == 1)
        if requests == 2:
            stage.engine().command(saga_id, tr.Execute(), actor="test", reason="")
        stage.engine().drive(saga_id)
    assert state_of(saga_id).status is SagaStatus.COMPLETED
    # The clock for create, and the saga with its steps for execute and for claim.
    if connection.vendor == "postgresql":
        words = sorted(statement.split()[0] for statement in statements)
        assert words == ["SELECT"] * (1 + requests) + ["WITH"] * commits
        return
    words = [query["sql"].split()[0] for query in queries.captured_queries]
    assert words.count("SELECT") == 1 + 2 * requests
    assert words.count("COMMIT") == commits, words
    # Each transition writes the saga, the steps that changed, and its events: create, execute,
    # claim, start, four answers with the next start, and the last answer.
    writes = [word for word in words if word in ("INSERT", "UPDATE")]
    assert len(writes) == 3 + 2 * (requests - 1) + 2 + 3 + 4 * 4 + 3
