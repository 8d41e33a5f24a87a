"""What an answer means, or the loss of one: the table of the README."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sagas.domain import attempts as at
from sagas.domain import triggers as tr
from sagas.domain.events import replay
from sagas.domain.outcome import Outcome, Verdict
from sagas.domain.state import CallKind, Effect, StepState, StepStatus, idempotency_key
from tests.domain.given import LEASE, Story, calling, given, seconds

IN_DOUBT = tr.Answer(outcome=Outcome(verdict=Verdict.IN_DOUBT))

MEANING = [
    # verdict         leads to                        effect             step's status
    ("succeeded", "forward, calls tell", Effect.APPLIED, StepStatus.COMPLETED),
    ("refused", "compensating, calls release", Effect.NONE, StepStatus.FAILED),
    ("not_applied", "forward", Effect.NONE, StepStatus.IN_PROGRESS),
    ("in_doubt", "forward", Effect.IN_DOUBT, StepStatus.IN_PROGRESS),
    ("not_sent", "forward", Effect.NONE, StepStatus.IN_PROGRESS),
    ("broken", "failed", Effect.NONE, StepStatus.FAILED),
    ("crash", "forward, calls pay", Effect.IN_DOUBT, StepStatus.IN_PROGRESS),
]


@pytest.mark.parametrize(("verdict", "leads_to", "effect", "status"), MEANING)
def test_the_answer_to_an_action(
    verdict: str, leads_to: str, effect: Effect, status: StepStatus
) -> None:
    story = calling("pay").driven(verdict)
    pay = story.step("pay")
    assert (story.where, pay.effect, pay.status) == (leads_to, effect, status)


MEANING_BACKWARD = [
    ("succeeded", "compensated", Effect.NONE, StepStatus.COMPENSATED),
    ("refused", "failed", Effect.APPLIED, StepStatus.FAILED),
    ("not_applied", "compensating", Effect.APPLIED, StepStatus.IN_PROGRESS),
    ("in_doubt", "compensating", Effect.APPLIED, StepStatus.IN_PROGRESS),
    ("not_sent", "compensating", Effect.APPLIED, StepStatus.IN_PROGRESS),
    ("broken", "failed", Effect.APPLIED, StepStatus.FAILED),
    ("crash", "compensating, calls release", Effect.APPLIED, StepStatus.IN_PROGRESS),
]


@pytest.mark.parametrize(("verdict", "leads_to", "effect", "status"), MEANING_BACKWARD)
def test_the_answer_to_a_compensation(
    verdict: str, leads_to: str, effect: Effect, status: StepStatus
) -> None:
    story = calling("pay").driven("refused", verdict)
    reserve = story.step("reserve")
    assert (story.where, reserve.effect, reserve.status) == (leads_to, effect, status)


def test_a_success_stores_the_output_and_forgets_the_error() -> None:
    story = calling("reserve").driven("in_doubt").wait().claimed()
    story.answer("succeeded", output={"reservation": 7})
    assert story.step("reserve").output == {"reservation": 7}
    assert story.step("reserve").error == ""


def test_a_refusal_is_never_retried() -> None:
    story = calling("reserve").answer("refused", error="sold out")
    assert (story.stands, story.step("reserve").attempts) == ("compensated", 1)
    assert story.step("reserve").error == "sold out"
    assert story.state.reason == "reserve was refused: sold out"


# Waits: 1, 2, 4 seconds; jitter only stretches; Retry-After is honoured, and capped.


@pytest.mark.parametrize("verdict", ["not_applied", "in_doubt"])
def test_three_retries_after_one_two_and_four_seconds(verdict: str) -> None:
    story, waits = calling("pay"), []
    for _ in range(3):
        story.answer(verdict)
        assert (story.state.owner, story.stands) == ("", "forward"), "nobody waits with the lease"
        waits.append(story.waits)
        story.wait().claimed()
    assert waits == [1, 2, 4]
    assert story.step("pay").attempts == 4
    assert story.answer(verdict).stands == "compensating"


def test_a_compensation_is_retried_just_as_often() -> None:
    story, waits = calling("pay").answer("refused"), []
    for _ in range(3):
        waits.append(story.answer("in_doubt").waits)
        story.wait().claimed()
    assert waits == [1, 2, 4]
    assert story.answer("in_doubt").stands == "failed"


def test_jitter_stretches_the_wait() -> None:
    assert calling("pay").answer("in_doubt", spread=0.5).waits == 1.25


@pytest.mark.parametrize("verdict", ["not_applied", "in_doubt"])
@pytest.mark.parametrize(("asked", "waits"), [(0, 1), (0.5, 1), (7, 7), (300, 300), (86400, 300)])
def test_retry_after_is_honoured_and_capped(verdict: str, asked: float, waits: float) -> None:
    assert calling("pay").answer(verdict, retry_after=seconds(asked)).waits == waits


def test_a_saga_that_waits_is_not_touched_before_its_time() -> None:
    story = calling("pay").answer("in_doubt").passes(0.999)
    with pytest.raises(Exception, match="not due"):
        story.claimed()
    assert story.passes(0.001).claimed().calls == "pay"


# In doubt: it stays so until a success or a compensation, and is compensated.


@pytest.mark.parametrize(
    "answers",
    [
        ["in_doubt", "refused"],
        ["crash", "refused"],
        ["not_applied", "in_doubt", "not_applied", "refused"],
        ["in_doubt", "not_applied", "not_applied", "not_applied"],
        ["in_doubt", "in_doubt", "in_doubt", "in_doubt"],
    ],
)
def test_a_step_in_doubt_stays_in_doubt_and_is_compensated(answers: list[str]) -> None:
    story = calling("pay").driven(*answers)
    assert (story.step("pay").effect, story.calls) == (Effect.IN_DOUBT, "refund")
    doubted = story.state.in_doubt
    story.answer("succeeded")
    assert (story.step("pay").effect, story.calls) == (Effect.NONE, "release")
    assert (doubted, story.state.in_doubt) == (True, False)


@pytest.mark.parametrize("answers", [["refused"], ["not_applied"] * 4, ["not_applied", "refused"]])
def test_a_step_that_was_surely_not_applied_is_not_compensated(answers: list[str]) -> None:
    story = calling("pay").driven(*answers)
    assert story.calls == "release"
    assert not story.state.in_doubt
    assert story.step("pay").status is StepStatus.FAILED


def test_a_success_ends_the_doubt() -> None:
    story = calling("pay").driven("in_doubt", "succeeded")
    assert story.step("pay").effect is Effect.APPLIED


# The breaker: what was not sent is not an attempt.


@pytest.mark.parametrize(("asked", "waits"), [(None, 1), (seconds(20), 20)])
def test_an_open_breaker_parks_and_consumes_no_attempt(asked: object, waits: float) -> None:
    story = calling("pay").answer("not_sent", error="payment is open", retry_after=asked)
    assert (story.stands, story.state.owner, story.waits) == ("forward", "", waits)
    assert story.state.waiting == "payment is open"
    assert story.step("pay").attempts == 0
    story.wait().claimed()
    assert (story.step("pay").attempts, story.state.waiting) == (1, "")


def test_an_open_breaker_may_hold_a_saga_for_ever() -> None:
    story = calling("pay").driven("in_doubt", *["not_sent"] * 20, "in_doubt")
    assert (story.stands, story.step("pay").attempts, story.waits) == ("forward", 2, 2)


def test_a_compensation_held_back_consumes_no_attempt_either() -> None:
    story = calling("pay").driven("refused", "in_doubt", "not_sent")
    assert story.step("reserve").compensation_attempts == 1
    assert story.step("reserve").attempts == 1


# Broken code: stop, and let a person decide.


def test_broken_code_stops_the_saga_at_once() -> None:
    story = calling("pay").answer("broken", error="KeyError: 'amount'")
    assert story.kinds == ["attempt_broken", "saga_failed"]
    assert story.state.reason == "pay: KeyError: 'amount'"
    assert story.state.due_at is None


def test_broken_code_does_not_settle_an_earlier_doubt() -> None:
    story = calling("pay").driven("in_doubt", "broken")
    assert story.step("pay").effect is Effect.IN_DOUBT
    assert story.compensate().claimed().calls == "refund"


# What is kept of a call.


def test_the_request_is_recorded_with_the_first_start_alone() -> None:
    story = calling("pay")
    sent = story.last[-1].request  # type: ignore[attr-defined]
    assert sent is not None
    assert story.step("pay").request_of(CallKind.ACTION) == sent
    story.answer("in_doubt").wait().when(tr.Claim(owner="worker", lease=LEASE))
    story.when(tr.Start(lease=LEASE, request={"other": 1}))
    assert story.last[-1].request is None  # type: ignore[attr-defined]
    assert story.step("pay").request_of(CallKind.ACTION) == sent
    story.when(tr.Answer(outcome=Outcome(verdict=Verdict.REFUSED)))
    story.when(tr.Start(lease=LEASE, request={"refund": 1}))
    assert story.step("pay").request_of(CallKind.COMPENSATION) == {"refund": 1}
    assert story.step("pay").request_of(CallKind.ACTION) == sent


def test_histories_in_which_the_request_came_with_the_answer_are_still_read() -> None:
    story, sent = calling("pay"), {"method": "POST", "body": "{}"}
    state = replace(story.state, steps=tuple(replace(s, request=None) for s in story.state.steps))
    answer = at.AttemptSucceeded(step="pay", call=CallKind.ACTION, attempt=1, request=sent)
    assert replay([answer], state).step("pay").request_of(CallKind.ACTION) == sent


def test_what_was_answered_and_how_long_it_took_is_kept() -> None:
    story = calling("pay").answer("refused", answer={"status": 409}, duration=seconds(0.0123456))
    first = story.last[0]
    assert (first.answer, first.duration_ms) == ({"status": 409}, 12.3)  # type: ignore[attr-defined]


def test_nothing_is_made_up_before_it_is_known() -> None:
    assert given().step("pay") == StepState(name="pay", attempts=0, compensation_attempts=0)
    answered = calling("pay").answer("refused").last[0]
    assert (answered.answer, answered.duration_ms) == (None, 0)  # type: ignore[attr-defined]
    assert calling("pay").when(IN_DOUBT).waits == 1, "no jitter of the core's own"


def test_all_attempts_of_a_call_share_one_key_and_no_two_calls_do() -> None:
    keys = {
        idempotency_key(saga, run, name, kind)
        for saga in ("a", "b")
        for run in (1, 2, 11)
        for name in ("reserve", "pay")
        for kind in CallKind
    }
    assert len(keys) == 2 * 3 * 2 * 2
    assert idempotency_key("a", 1, "pay", CallKind.COMPENSATION) == "a:1:pay:compensation"


@pytest.mark.parametrize(("passed", "left"), [(24, 6), (24.001, 30), (29, 30)])
def test_the_lease_is_renewed_where_it_is_too_short_for_the_next_call(
    passed: float, left: float
) -> None:
    """A call of five seconds, and one for its answer."""
    story: Story = given().executed().claimed().passes(passed).answer("succeeded")
    assert story.waits == left
    assert replay(story.recorded) == story.state
