"""Workers that vanish amid a call, and workers that stop in good order."""

from __future__ import annotations

import pytest

from sagas.domain import triggers as tr
from sagas.domain.decide import MAX_CRASHES
from sagas.domain.state import Effect
from tests.domain.given import LEASE, Story, calling, given

VANISHED = "the worker vanished before it recorded an answer"

# Crashes: the call is in doubt, counted, tried again at once, and not for ever.


def test_an_interrupted_call_is_in_doubt_counted_and_tried_again_at_once() -> None:
    story = calling("pay").crash()
    assert story.kinds == ["claimed", "attempt_interrupted", "attempt_started"]
    assert (story.calls, story.state.owner) == ("pay", "successor")
    pay = story.step("pay")
    assert (pay.effect, pay.attempts, pay.error) == (Effect.IN_DOUBT, 2, VANISHED)


def test_interruptions_count_against_the_retries() -> None:
    story = calling("pay", max_retries=1).driven("crash", "crash")
    assert story.calls == "refund"
    assert story.state.reason == f"pay failed 2 times: {VANISHED}"


def test_a_compensation_interrupted_too_often_fails() -> None:
    story = calling("pay", max_retries=1).driven("refused", "crash", "crash")
    assert (story.stands, story.calls) == ("failed", "")
    assert story.state.reason == f"release failed 2 times: {VANISHED}"


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_saga_that_its_workers_do_not_survive_is_stopped(cancelled: bool) -> None:
    story = calling("reserve", max_retries=9).driven(*["crash"] * (MAX_CRASHES - 1))
    assert (story.stands, story.state.crashes) == ("forward", MAX_CRASHES)
    if cancelled:
        story.compensate()
    story.crash()
    assert story.stands == "failed"
    assert story.state.reason == "its worker vanished 3 times in a row while driving it"
    assert (story.state.due_at, story.state.owner, story.calls) == (None, "", "")
    assert story.step("reserve").effect is Effect.IN_DOUBT


def test_after_it_was_stopped_a_retry_counts_crashes_anew() -> None:
    story = calling("reserve").driven(*["crash"] * MAX_CRASHES).retried()
    assert story.driven("crash", "crash").calls == "reserve"
    assert story.step("reserve").attempts == 3


@pytest.mark.parametrize("answer", ["in_doubt", "not_applied", "not_sent"])
def test_an_answer_ends_the_row_of_crashes(answer: str) -> None:
    story = calling("reserve", max_retries=9).driven("crash", "crash", answer, "crash", "crash")
    assert (story.stands, story.state.crashes) == ("forward", 3)


def test_so_does_broken_code_in_a_saga_that_was_cancelled() -> None:
    story = calling("pay", max_retries=9).driven("crash", "crash").compensate().answer("broken")
    assert (story.calls, story.state.crashes) == ("refund", 0)


def test_a_worker_without_the_code_neither_counts_nor_forgets_crashes() -> None:
    story = calling("reserve", max_retries=9).driven("crash")
    assert story.state.crashes == 2
    for _ in range(5):
        assert story.wait().parked().state.crashes == 2


def test_a_command_ends_the_row_of_crashes() -> None:
    story = calling("pay").driven("crash", "in_doubt").compensate()
    assert story.state.crashes == 0


def test_success_ends_the_row_of_crashes() -> None:
    story = calling("reserve").driven("crash", "crash", "succeeded")
    assert (story.calls, story.state.crashes) == ("pay", 0)


# A worker that is stopping records its answer and gives the lease up.


def test_a_stopping_worker_hands_the_saga_back_between_two_calls() -> None:
    story = calling("reserve").answer("succeeded", hand_back=True)
    assert story.kinds == ["attempt_succeeded", "handed_back"]
    assert (story.stands, story.state.owner, story.waits) == ("forward", "", 0)
    assert story.step("pay").attempts == 0, "no attempt was consumed"
    assert story.claimed("another").calls == "pay"


def test_a_stopping_worker_still_ends_the_saga_or_turns_it_round() -> None:
    assert calling("tell").answer("succeeded", hand_back=True).stands == "completed"
    story = calling("pay").answer("refused", hand_back=True)
    assert (story.where, story.waits) == ("compensating", 0)


def test_a_stopping_worker_changes_nothing_about_a_wait() -> None:
    assert calling("pay").answer("in_doubt", hand_back=True).waits == 1


# A worker that is known to be gone need not be waited for.


def test_the_lease_of_a_lost_worker_ends_at_once_and_its_call_is_in_doubt() -> None:
    story = calling("pay").when(tr.Lose(owner="worker"))
    assert story.kinds == ["worker_lost"]
    assert (story.calls, story.state.owner, story.waits) == ("pay", "", 0)
    assert story.claimed("another").step("pay").effect is Effect.IN_DOUBT
    assert story.step("pay").attempts == 2


def test_a_lost_worker_counts_as_crashed_and_then_its_lease_has_to_end() -> None:
    claim, lose = tr.Claim(owner="worker", lease=LEASE), tr.Lose(owner="worker")
    story = given().executed().when(claim).when(lose).when(claim)
    assert story.state.crashes == 2
    assert story.refuses(lose) == "it was lost before: now its lease has to end"
    story.when(tr.Start(lease=LEASE, request={})).answer("succeeded").when(lose)
    assert story.kinds == ["worker_lost"]


def test_one_that_lives_after_all_records_its_answer_and_no_more() -> None:
    story = calling("pay").when(tr.Lose(owner="worker")).answer("succeeded")
    assert (story.kinds, story.calls, story.waits) == (["attempt_succeeded"], "", 0)
    assert story.claimed("another").calls == "tell"


@pytest.mark.parametrize(
    ("story", "owner"),
    [
        (given().executed(), ""),
        (given().executed(), "worker"),
        (calling("pay"), "another"),
        (calling("pay"), ""),
        (calling("pay").wait(), "worker"),
        (calling("pay").answer("in_doubt"), "worker"),
        (calling("pay").when(tr.Lose(owner="worker")), "worker"),
        (calling("tell").answer("succeeded"), "worker"),
    ],
)
def test_who_does_not_have_the_saga_cannot_lose_it(story: Story, owner: str) -> None:
    story.refuses(tr.Lose(owner=owner))
