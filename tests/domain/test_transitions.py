"""The transitions: what is allowed, where it leads, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from sagas.domain import triggers as tr
from sagas.domain.outcome import Outcome, Verdict
from sagas.domain.rules import allowed_operations
from sagas.domain.state import Direction, Effect, Operation, SagaStatus, StepState
from tests.domain.given import LEASE, NOW, Story, calling, given, seconds

EXECUTE, COMPENSATE, RETRY = tr.Execute(), tr.Compensate(), tr.Retry()
CLAIM = tr.Claim(owner="another", lease=LEASE)
PARK = tr.Park(reason="version 1 is unknown here", wait=seconds(60))
START = tr.Start(lease=LEASE, request={"body": "{}"})
UNBUILDABLE = tr.Unbuildable(error="KeyError: 'amount'")
ANSWER = tr.Answer(outcome=Outcome(verdict=Verdict.SUCCEEDED))

TRIGGERS: dict[str, tr.Trigger] = {
    "execute": EXECUTE,
    "compensate": COMPENSATE,
    "retry": RETRY,
    "claim": CLAIM,
    "park": PARK,
    "start": START,
    "unbuildable": UNBUILDABLE,
    "success": ANSWER,
}

SITUATIONS: dict[str, Callable[[], Story]] = {
    "pending": given,
    "executed": lambda: given().executed(),
    "claimed": lambda: given().executed().when(CLAIM),
    "claimed, lease over": lambda: given().executed().when(CLAIM).wait(),
    "claimed to compensate": lambda: (
        calling("pay").driven("refused", "in_doubt").wait().when(CLAIM)
    ),
    "action in flight": lambda: calling("pay"),
    "action in flight, lease over": lambda: calling("pay").wait(),
    "action in flight, cancelled": lambda: calling("pay").compensate(),
    "waits for a retry": lambda: calling("pay").answer("in_doubt"),
    "waits for the breaker": lambda: calling("pay").answer("not_sent"),
    "due again": lambda: calling("pay").answer("in_doubt").wait(),
    "parked": lambda: given().executed().parked(),
    "parked, in flight": lambda: calling("pay").wait().parked(),
    "compensation in flight": lambda: calling("pay").answer("refused"),
    "compensation waits": lambda: calling("pay").driven("refused", "not_applied"),
    "completed": lambda: calling("tell").answer("succeeded"),
    "failed, forward": lambda: calling("pay").answer("broken"),
    "failed, compensating": lambda: calling("pay").driven("refused", "refused"),
    "failed, nothing done": lambda: calling("reserve").answer("broken"),
    "compensated": lambda: calling("pay").driven("refused", "succeeded"),
}

TABLE = {
    ("pending", "execute"): "forward",
    ("pending", "compensate"): "compensated",
    ("executed", "compensate"): "compensated",
    ("executed", "claim"): "forward",
    ("claimed", "start"): "forward, calls reserve",
    ("claimed", "unbuildable"): "failed",
    ("claimed", "compensate"): "compensated",
    ("claimed, lease over", "start"): "forward, calls reserve",
    ("claimed, lease over", "unbuildable"): "failed",
    ("claimed, lease over", "compensate"): "compensated",
    ("claimed, lease over", "claim"): "forward",
    ("claimed, lease over", "park"): "forward",
    ("claimed to compensate", "start"): "compensating, calls release",
    ("claimed to compensate", "unbuildable"): "failed",
    ("executed", "park"): "forward",
    ("action in flight", "compensate"): "forward, calls pay",
    ("action in flight", "success"): "forward",
    ("action in flight, lease over", "compensate"): "forward, calls pay",
    ("action in flight, lease over", "claim"): "forward",
    ("action in flight, lease over", "park"): "forward, calls pay",
    ("action in flight, lease over", "success"): "forward",
    ("action in flight, cancelled", "success"): "compensating",
    ("waits for a retry", "compensate"): "compensating",
    ("waits for the breaker", "compensate"): "compensating",
    ("due again", "compensate"): "compensating",
    ("due again", "claim"): "forward",
    ("due again", "park"): "forward",
    ("parked", "compensate"): "compensated",
    ("parked, in flight", "compensate"): "forward, calls pay",
    # Whoever parked the saga is fenced off by the epoch; the core cannot see who answers.
    ("parked, in flight", "success"): "forward",
    ("compensation in flight", "success"): "compensated",
    ("completed", "compensate"): "compensating",
    ("failed, forward", "retry"): "forward",
    ("failed, forward", "compensate"): "compensating",
    ("failed, compensating", "retry"): "compensating",
    ("failed, compensating", "compensate"): "compensating",
    ("failed, nothing done", "retry"): "forward",
    ("failed, nothing done", "compensate"): "compensated",
    ("compensated", "retry"): "forward",
}

REFUSED = sorted(set(product(SITUATIONS, TRIGGERS)) - TABLE.keys())


@pytest.mark.parametrize(("situation", "trigger"), TABLE)
def test_is_allowed_and_leads_to(situation: str, trigger: str) -> None:
    story = SITUATIONS[situation]().when(TRIGGERS[trigger])
    assert story.where == TABLE[situation, trigger]


@pytest.mark.parametrize(("situation", "trigger"), REFUSED)
def test_anything_else_is_refused_and_changes_nothing(situation: str, trigger: str) -> None:
    assert SITUATIONS[situation]().refuses(TRIGGERS[trigger])


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_operations_offered_are_the_ones_accepted(situation: str) -> None:
    story = SITUATIONS[situation]()
    offered = {operation.value for operation in allowed_operations(story.definition, story.state)}
    accepted = {trigger for where, trigger in TABLE if where == situation}
    assert offered == accepted & {operation.value for operation in Operation}


def test_a_refusal_names_the_status_and_the_operation() -> None:
    assert given().refuses(RETRY) == "a saga that is pending cannot retry"
    assert given().refuses(CLAIM) == "the saga is not due"
    assert given().refuses(ANSWER) == "no call is in flight"


def test_what_is_no_trigger_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(TypeError, match="not a trigger: 'execute'"):
        given().when("execute")  # type: ignore[arg-type]


def test_each_status_was_among_the_situations() -> None:
    assert {make().state.status for make in SITUATIONS.values()} == set(SagaStatus)


def test_execute_makes_the_saga_due_at_once_for_any_worker() -> None:
    story = given(deadline=60).executed()
    assert (story.waits, story.state.owner) == (0, "")
    assert story.state.deadline == NOW + seconds(60)
    assert given().executed().state.deadline is None


def test_cancelling_a_pending_saga_calls_nothing() -> None:
    story = given().compensate()
    assert story.kinds == ["compensate_requested", "saga_compensated"]
    assert story.state.direction is Direction.COMPENSATING
    assert story.state.due_at is None


def test_success_of_a_step_and_the_start_of_the_next_are_one_commit() -> None:
    story = calling("reserve").passes(5).answer("succeeded", output={"id": 7})
    assert story.kinds == ["attempt_succeeded", "attempt_started"]
    assert story.step("reserve").output == {"id": 7}
    assert story.waits == LEASE.total_seconds() - 5, "the lease goes on"


def test_the_last_success_completes_the_saga() -> None:
    story = calling("tell").answer("succeeded")
    assert story.stands == "completed"
    assert story.state.reason == ""
    assert (story.state.owner, story.state.due_at) == ("", None)


@pytest.mark.parametrize("situation", ["completed", "failed, forward", "failed, compensating"])
def test_compensating_a_stopped_saga_takes_back_the_last_first(situation: str) -> None:
    story = SITUATIONS[situation]()
    done = [n for n in ("pay", "reserve") if story.step(n).effect is not Effect.NONE]
    story.compensate("the client changed his mind")
    assert story.state.reason == "the client changed his mind"
    for name in done:
        if not story.calls:
            story.claimed()
        assert story.calls == story.definition.step(name).compensation
        story.answer("succeeded")
    assert story.stands == "compensated"


def test_without_a_reason_it_says_that_somebody_asked() -> None:
    assert calling("pay").answer("broken").compensate().state.reason == "compensation was asked for"


def test_a_refused_compensation_stops_and_those_before_it_wait() -> None:
    story = calling("tell").driven("refused", "refused")
    assert story.stands == "failed"
    assert story.state.reason == "refund was refused: it was refused"
    assert [s.status.value for s in story.state.steps] == ["completed", "failed", "failed"]
    assert story.step("reserve").compensation_attempts == 0


def test_an_exhausted_compensation_stops_too() -> None:
    story = calling("pay", max_retries=1).driven("refused", "in_doubt", "not_applied")
    assert story.stands == "failed"
    assert story.state.reason == "release failed 2 times: it was not_applied"


def test_a_failed_action_is_retried_with_attempts_counted_anew_and_the_same_run() -> None:
    story = calling("pay", pivot="pay", max_retries=1).driven("in_doubt", "in_doubt")
    assert story.stands == "failed"
    story.retried()
    assert (story.step("pay").attempts, story.state.run, story.state.reason) == (0, 1, "")
    assert story.step("pay").effect is Effect.IN_DOUBT, "a retry does not make it known"
    story.driven("not_applied")
    assert story.stands == "forward", "the new round has its own retry"
    assert story.driven("succeeded").calls == "tell"


def test_a_failed_compensation_is_retried_in_its_direction_counted_anew() -> None:
    story = calling("pay", max_retries=0).driven("refused", "in_doubt").retried()
    assert story.step("reserve").compensation_attempts == 0
    assert story.step("reserve").attempts == 1, "the action's round is not the one that is retried"
    story.claimed()
    assert (story.calls, story.step("reserve").compensation_attempts) == ("release", 1)
    assert story.answer("succeeded").stands == "compensated"


def test_compensating_a_failed_compensation_counts_anew_too() -> None:
    story = calling("pay", max_retries=0).driven("refused", "in_doubt").compensate()
    assert story.claimed().step("reserve").compensation_attempts == 1


def test_a_retry_gets_a_new_deadline() -> None:
    story = calling("pay", deadline=60).answer("broken").passes(600).retried()
    assert story.state.deadline == story.now + seconds(60)
    assert story.claimed().calls == "pay"


def test_a_retried_compensated_saga_starts_afresh_as_the_next_run() -> None:
    story = calling("pay").answer("refused").answer("succeeded")
    story.retried()
    assert (story.stands, story.state.run, story.state.reason) == ("forward", 2, "")
    assert story.state.steps == tuple(StepState(name=n) for n in ("reserve", "pay", "tell"))
    assert story.claimed().calls == "reserve"


def test_a_cancelled_pending_saga_may_be_retried() -> None:
    story = given().compensate().retried().claimed()
    assert (story.calls, story.state.run) == ("reserve", 2)


def test_a_claim_takes_the_lease_and_fences_off_the_one_before() -> None:
    story = given().executed().claimed("first")
    assert (story.state.owner, story.state.epoch) == ("first", 1)
    assert story.waits == LEASE.total_seconds()
    story.wait().claimed("second")
    assert (story.state.owner, story.state.epoch) == ("second", 2)


def test_a_parked_saga_says_why_and_is_looked_at_again() -> None:
    story = given().executed().parked()
    assert (story.state.waiting, story.waits) == ("version 1 is unknown here", 60)
    assert (story.state.owner, story.state.epoch) == ("", 1)
    story.passes(59).refuses(CLAIM)
    assert story.passes(1).claimed().state.waiting == ""
