"""Where a saga may still turn round: the pivot, the deadline, and a cancel amid a call."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sagas.domain import triggers as tr
from sagas.domain.definition import Definition, StepDefinition
from sagas.domain.state import Effect, StepStatus
from tests.domain.given import LEASE, NOW, calling, given, seconds

# The pivot: after it a saga only goes forward.

PIVOT_PAY = [
    # what the calls bring, from the pivot on                   where it leads
    (["refused"], "compensating, calls release"),
    (["not_applied"] * 4, "compensating, calls release"),
    (["not_applied", "refused"], "compensating, calls release"),
    (["in_doubt"], "forward"),
    (["in_doubt"] * 4, "failed"),
    (["in_doubt", "not_applied", "not_applied", "not_applied"], "failed"),
    (["not_applied", "not_applied", "not_applied", "in_doubt"], "failed"),
    (["in_doubt", "refused"], "failed"),
    (["in_doubt", "succeeded"], "forward, calls tell"),
    (["crash", "refused"], "failed"),
    (["crash", "crash"], "forward, calls pay"),
    (["broken"], "failed"),
    (["succeeded", "refused"], "failed"),
    (["succeeded", *["not_applied"] * 4], "failed"),
    (["succeeded", *["in_doubt"] * 4], "failed"),
    (["succeeded", "in_doubt", "refused"], "failed"),
    (["succeeded", "in_doubt", "succeeded"], "completed"),
]


@pytest.mark.parametrize(("answers", "leads_to"), PIVOT_PAY)
def test_pivot(answers: list[str], leads_to: str) -> None:
    assert calling("pay", pivot="pay").driven(*answers).where == leads_to


def test_a_step_before_the_pivot_turns_round() -> None:
    story = calling("reserve", pivot="pay").driven("in_doubt", "refused")
    assert story.where == "compensating, calls release"


def test_what_failed_after_the_pivot_is_retried_forward() -> None:
    story = calling("tell", pivot="pay").driven("refused").retried().claimed()
    assert story.calls == "tell"
    assert story.answer("succeeded").stands == "completed"


@pytest.mark.parametrize("answers", [["in_doubt"] * 4, ["succeeded", "refused"]])
def test_a_person_may_compensate_even_past_the_pivot(answers: list[str]) -> None:
    story = calling("pay", pivot="pay").driven(*answers).compensate().claimed()
    assert story.calls == "refund"
    assert story.driven("succeeded", "succeeded").stands == "compensated"


def test_the_reason_for_stopping_names_the_call_and_its_error() -> None:
    story = calling("pay", pivot="pay").driven(*["in_doubt"] * 4)
    assert story.state.reason == "pay failed 4 times: it was in_doubt"
    story = calling("tell", pivot="pay").driven("refused")
    assert story.state.reason == "tell was refused: it was refused"


# The deadline: going forward stops there, a compensation never does.


def test_before_the_pivot_the_deadline_ends_a_wait_and_turns_the_saga() -> None:
    story = calling("pay", pivot="pay", deadline=5).passes(4.5).answer("not_applied")
    assert story.waits == 0.5, "not the second that the retry would have waited"
    story.wait().claimed()
    assert story.where == "compensating, calls release"
    assert story.state.reason == "the deadline passed"


def test_the_breaker_is_not_waited_for_beyond_the_deadline() -> None:
    story = calling("pay", pivot="pay", deadline=5).answer("not_sent", retry_after=seconds(60))
    assert story.waits == 5
    assert story.wait().claimed().calls == "release"


def test_a_deadline_that_has_passed_before_the_first_call_calls_nothing() -> None:
    story = given(deadline=5).executed().passes(5).claimed()
    assert story.stands == "compensated"
    assert story.kinds == ["claimed", "compensation_triggered", "saga_compensated"]


def test_a_call_that_was_built_until_beyond_the_deadline_is_not_started() -> None:
    story = given(deadline=5).executed().when(tr.Claim(owner="worker", lease=LEASE)).passes(5)
    story.when(tr.Start(lease=LEASE, request={}))
    assert story.kinds == ["compensation_triggered", "saga_compensated"]
    assert story.step("reserve").attempts == 0


def test_a_moment_before_the_deadline_is_in_time() -> None:
    assert given(deadline=5).executed().passes(4.999).claimed().calls == "reserve"


LATE = [
    # in flight   its late answer   where it leads
    ("reserve", "succeeded", "compensating, calls release"),
    ("reserve", "refused", "compensated"),
    ("reserve", "not_applied", "compensated"),
    ("reserve", "in_doubt", "compensating, calls release"),
    ("reserve", "broken", "failed"),
    ("pay", "not_applied", "compensating, calls release"),
    ("pay", "in_doubt", "forward"),
    ("pay", "succeeded", "forward, calls tell"),
    ("tell", "in_doubt", "forward"),
    ("tell", "not_applied", "forward"),
    ("tell", "succeeded", "completed"),
]


@pytest.mark.parametrize(("name", "verdict", "leads_to"), LATE)
def test_an_answer_after_the_deadline(name: str, verdict: str, leads_to: str) -> None:
    story = calling(name, pivot="pay", deadline=5).passes(6).answer(verdict)
    assert story.where == leads_to


def test_the_last_success_completes_however_late() -> None:
    assert calling("tell", deadline=5).passes(6).answer("succeeded").stands == "completed"


def test_a_crash_beyond_the_deadline_turns_round_as_well() -> None:
    story = calling("pay", deadline=5).crash()
    assert story.calls == "refund"
    assert story.state.reason.startswith("pay failed, and the deadline passed: ")


def test_a_pivot_in_doubt_keeps_its_retries_and_waits_beyond_the_deadline() -> None:
    story = calling("pay", pivot="pay", deadline=5).passes(4.5).answer("in_doubt")
    assert story.waits == 1
    story.wait().claimed().answer("not_applied")
    assert (story.stands, story.waits) == ("forward", 2)
    story.wait().claimed()
    assert story.crash().calls == "pay"
    assert story.driven("in_doubt").stands == "failed"


def test_a_pivot_in_doubt_waits_for_the_breaker_beyond_the_deadline() -> None:
    story = calling("pay", pivot="pay", deadline=5).driven("in_doubt").wait().claimed()
    assert story.answer("not_sent", retry_after=seconds(60)).waits == 60


def test_a_deadline_never_stops_a_compensation() -> None:
    story = calling("pay", deadline=5).answer("refused").passes(100)
    story.answer("in_doubt")
    assert (story.stands, story.waits) == ("compensating", 1)
    story.driven("not_sent", "not_applied", "in_doubt")
    assert story.stands == "compensating"
    assert story.driven("succeeded").stands == "compensated"


# Compensate with a call in flight: it is finished first, and no new action starts.

CANCELLED = [
    # in flight   its answer   where it leads                         the effect is then
    ("reserve", "succeeded", "compensating, calls release", Effect.APPLIED),
    ("reserve", "refused", "compensated", Effect.NONE),
    ("reserve", "not_applied", "compensated", Effect.NONE),
    ("reserve", "in_doubt", "compensating, calls release", Effect.IN_DOUBT),
    ("reserve", "not_sent", "compensating", Effect.NONE),
    ("reserve", "broken", "compensated", Effect.NONE),
    ("reserve", "crash", "compensating, calls release", Effect.IN_DOUBT),
    ("pay", "succeeded", "compensating, calls refund", Effect.APPLIED),
    ("pay", "refused", "compensating, calls release", Effect.NONE),
    ("pay", "in_doubt", "compensating, calls refund", Effect.IN_DOUBT),
    ("pay", "crash", "compensating, calls refund", Effect.IN_DOUBT),
    ("tell", "succeeded", "compensating, calls refund", Effect.APPLIED),
    ("tell", "refused", "compensating, calls refund", Effect.NONE),
    ("tell", "broken", "compensating, calls refund", Effect.NONE),
]


@pytest.mark.parametrize("pivot", ["", "pay"])
@pytest.mark.parametrize(("name", "verdict", "leads_to", "effect"), CANCELLED)
def test_cancelled_amid_a_call(
    name: str, verdict: str, leads_to: str, effect: Effect, pivot: str
) -> None:
    story = calling(name, pivot=pivot).compensate()
    assert (story.kinds, story.calls) == (["compensate_requested"], name)
    story.driven(verdict)
    assert (story.where, story.step(name).effect) == (leads_to, effect)
    assert story.state.reason == "compensation was asked for"
    assert not story.state.cancel_requested


def test_a_cancel_leaves_the_lease_with_the_worker_whose_call_is_in_flight() -> None:
    story = calling("pay").passes(3).compensate()
    assert (story.state.owner, story.waits) == ("worker", 27)


def test_a_cancelled_call_that_the_breaker_holds_back_turns_round_at_once() -> None:
    story = calling("pay").compensate().answer("not_sent", retry_after=seconds(60))
    assert (story.stands, story.waits) == ("compensating", 0)
    assert story.claimed().calls == "release"


def test_a_cancel_during_a_wait_turns_round_at_once() -> None:
    story = calling("pay").answer("in_doubt", retry_after=seconds(60)).compensate()
    assert (story.stands, story.waits) == ("compensating", 0)
    assert story.claimed().calls == "refund"


def test_a_cancel_before_anything_took_effect_ends_at_once() -> None:
    story = calling("reserve").answer("not_applied").compensate()
    assert story.stands == "compensated"
    assert story.state.due_at is None


@pytest.mark.parametrize("answers", [["not_applied"], ["not_sent"], ["crash", "crash", "crash"]])
def test_a_saga_that_stopped_has_no_step_in_progress(answers: list[str]) -> None:
    story = calling("reserve").driven(*answers)
    if story.stands == "forward":
        story.compensate()
    never_sent = answers == ["not_sent"]
    status = StepStatus.PENDING if never_sent else StepStatus.FAILED
    assert story.step("reserve").status is status


def test_a_step_without_compensation_is_passed_over_even_in_doubt() -> None:
    story = calling("tell").driven(*["in_doubt"] * 4)
    assert story.calls == "refund"


def test_a_saga_without_compensations_is_compensated_by_doing_nothing() -> None:
    look = Definition(
        type="look", version=1, steps=(StepDefinition(name="look"),), deadline=timedelta(hours=1)
    )
    story = given(look).executed().claimed().answer("in_doubt").compensate()
    assert story.stands == "compensated"
    assert story.state.deadline == NOW + timedelta(hours=1)


@pytest.mark.parametrize("answers", [["in_doubt"] * 4, ["succeeded", "refused"]])
def test_a_new_run_is_refused_while_the_pivots_effect_may_stand(answers: list[str]) -> None:
    definition = Definition(
        type="trip",
        version=1,
        steps=(
            StepDefinition(name="book", compensation="cancel"),
            StepDefinition(name="pay", pivot=True),
            StepDefinition(name="tell"),
        ),
    )
    story = given(definition).executed().claimed().driven("succeeded", *answers)
    story = story.compensate().claimed().driven("succeeded")
    assert story.stands == "compensated"
    assert story.refuses(tr.Retry())
