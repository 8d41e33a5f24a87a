"""What people find out, see to by hand, or change: resolve, skip and edit."""

from __future__ import annotations

from typing import Any

import pytest

from sagas.domain import triggers as tr
from sagas.domain.foresight import foresee
from sagas.domain.state import CallKind, Effect, StepStatus, idempotency_key
from tests.domain.given import LEASE, Story, calling, given


def resolve(story: Story, step: str, *, applied: bool, **more: Any) -> Story:
    return story.when(tr.Resolve(step=step, applied=applied, evidence="bank says", **more))


def edit(story: Story) -> Story:
    return story.when(tr.EditData(data={"a": 2}, before={"a": 1}))


def pivot_in_doubt() -> Story:
    return calling("pay", pivot="pay").driven(*["in_doubt"] * 4)


def stuck_refund() -> Story:
    return calling("tell").driven("refused", "refused")


# Resolve


def test_a_pivot_in_doubt_that_was_applied_counts_as_done_and_a_retry_goes_on_behind_it() -> None:
    story = resolve(pivot_in_doubt(), "pay", applied=True, output={"payment_id": "p1"})
    step = story.step("pay")
    assert story.stands == "failed"
    assert (step.status, step.effect) == (StepStatus.COMPLETED, Effect.APPLIED)
    assert step.output == {"payment_id": "p1"}
    assert story.retried().claimed().calls == "tell"


def test_a_pivot_that_was_not_applied_is_called_again_under_the_same_key() -> None:
    story = resolve(pivot_in_doubt(), "pay", applied=False)
    assert story.step("pay").effect is Effect.NONE
    assert story.retried().claimed().calls == "pay"
    assert story.step("pay").request == {"body": "{}"}
    assert story.step("pay").revision == 0


def test_a_step_that_was_not_applied_is_not_compensated() -> None:
    story = resolve(pivot_in_doubt(), "pay", applied=False).compensate().claimed()
    assert story.calls == "release"


def test_while_a_saga_waits_it_goes_on_at_once_when_the_action_was_applied() -> None:
    story = resolve(calling("reserve").driven("in_doubt"), "reserve", applied=True)
    assert (story.stands, story.waits) == ("forward", 0)
    assert story.claimed().calls == "pay"


def test_while_a_saga_waits_what_was_not_applied_is_tried_when_it_would_have_been() -> None:
    story = calling("reserve").driven("in_doubt")
    waits = story.waits
    assert resolve(story, "reserve", applied=False).waits == waits > 0
    assert story.wait().claimed().calls == "reserve"


def test_a_compensation_of_what_was_never_applied_is_not_tried_again() -> None:
    story = calling("pay").driven(*["in_doubt"] * 4).driven("refused")
    assert story.stands == "failed"
    resolve(story, "pay", applied=False)
    assert story.retried().claimed().calls == "release"


@pytest.mark.parametrize("applied", [True, False])
def test_what_a_compensated_saga_left_in_doubt_may_be_found_out(applied: bool) -> None:
    story = calling("tell").driven(*["in_doubt"] * 4, "succeeded", "succeeded")
    assert (story.stands, story.state.in_doubt) == ("compensated", True)
    resolve(story, "tell", applied=applied)
    assert (story.stands, story.state.in_doubt) == ("compensated", False)


def test_a_pivot_that_was_not_applied_after_all_allows_a_new_run() -> None:
    story = calling("tell", pivot="tell").driven(*["in_doubt"] * 4).compensate()
    story.driven("succeeded", "succeeded")
    assert "cannot retry" in story.refuses(tr.Retry())
    assert resolve(story, "tell", applied=False).retried().state.run == 2


def test_nobody_resolves_what_is_being_called_or_is_not_in_doubt() -> None:
    flying = calling("reserve").driven("in_doubt").wait().claimed()
    assert flying.calls == "reserve"
    for story in (flying, calling("pay"), given()):
        why = story.refuses(tr.Resolve(step="reserve", applied=True, evidence="e"))
        assert "not in doubt, or is being called" in why
    pivot_in_doubt().refuses(tr.Resolve(step="nothing", applied=True, evidence="e"))


# Skip


def test_a_compensation_that_a_person_saw_to_is_not_called() -> None:
    story = stuck_refund().when(tr.Skip(step="pay"))
    assert (story.stands, story.step("pay").effect) == ("failed", Effect.NONE)
    assert story.step("pay").status is StepStatus.COMPENSATED
    assert story.retried().claimed().calls == "release"


def test_an_action_that_a_person_saw_to_counts_as_done_and_is_never_compensated() -> None:
    story = (
        calling("tell", pivot="pay").driven("refused").when(tr.Skip(step="tell", output={"x": 1}))
    )
    assert (story.step("tell").status, story.step("tell").output) == (
        StepStatus.COMPLETED,
        {"x": 1},
    )
    assert story.retried().claimed().stands == "completed"
    assert story.step("tell").effect is Effect.NONE


def test_a_saga_that_waits_goes_on_at_once_when_a_step_is_skipped() -> None:
    story = calling("tell").driven("refused", "not_sent")
    assert story.waits > 0
    story.when(tr.Skip(step="pay"))
    assert story.waits == 0
    assert story.claimed().calls == "release"


def test_only_the_call_at_which_the_saga_is_stuck_may_be_skipped() -> None:
    for story, step in (
        (stuck_refund(), "reserve"),  # it comes later
        (pivot_in_doubt(), "pay"),  # whether it took effect comes first
        (calling("pay"), "pay"),  # it is being called
        (given().executed(), "reserve"),  # it is not stuck
        (given(), "reserve"),
        (calling("tell").driven("succeeded"), "tell"),
    ):
        assert "not where the saga is stuck" in story.refuses(tr.Skip(step=step))


# Edit


def test_an_edit_gives_a_refused_action_a_new_call_under_a_new_key() -> None:
    story = edit(calling("tell", pivot="pay").driven("refused"))
    step = story.step("tell")
    assert (step.request, step.revision) == (None, 1)
    assert story.step("pay").revision == 0
    assert story.retried().claimed().calls == "tell"
    key = idempotency_key("s", 1, "tell", CallKind.ACTION, 1)
    assert key == "s:1:tell:action:1"


def test_an_edit_leaves_calls_that_were_made_as_they_are() -> None:
    story = edit(stuck_refund())
    assert story.step("pay").compensation_request == {"body": "{}"}
    assert {step.revision for step in story.state.steps} == {0}


def test_a_compensated_saga_may_be_edited_for_its_next_run() -> None:
    story = edit(calling("pay").driven("refused", "succeeded"))
    assert story.retried().claimed().calls == "reserve"
    assert {step.revision for step in story.state.steps} == {0}


def test_nobody_edits_the_data_of_a_call_in_doubt_or_of_a_saga_that_runs() -> None:
    for story in (pivot_in_doubt(), calling("pay"), given(), calling("tell").driven("succeeded")):
        assert "cannot be edited now" in story.refuses(tr.EditData(data={}, before={}))


# What will be called


def ahead(story: Story, *triggers: tr.Trigger) -> list[str]:
    course = foresee(story.definition, story.state, triggers, story.now)
    names = [
        call.step if call.kind is CallKind.ACTION else story.definition.step(call.step).compensation
        for call in course.calls
    ]
    return [*names, course.ends.value]


AHEAD: list[tuple[Any, tuple[tr.Trigger, ...], list[str]]] = [
    (given, (tr.Execute(),), ["reserve", "pay", "tell", "completed"]),
    (given, (tr.Compensate(),), ["compensated"]),
    (lambda: calling("pay"), (tr.Compensate(),), ["pay", "refund", "release", "compensated"]),
    (
        lambda: calling("tell").driven("succeeded"),
        (tr.Compensate(),),
        ["refund", "release", "compensated"],
    ),
    (stuck_refund, (tr.Retry(),), ["refund", "release", "compensated"]),
    (stuck_refund, (tr.Skip(step="pay"), tr.Retry()), ["release", "compensated"]),
    (stuck_refund, (tr.Skip(step="pay"),), ["failed"]),
    (pivot_in_doubt, (tr.Retry(),), ["pay", "tell", "completed"]),
    (
        lambda: calling("tell").driven(*["in_doubt"] * 4, "succeeded", "succeeded"),
        (tr.Retry(),),
        ["reserve", "pay", "tell", "completed"],
    ),
    (lambda: calling("reserve").driven("in_doubt"), (), ["reserve", "pay", "tell", "completed"]),
]


@pytest.mark.parametrize(("make", "triggers", "calls"), AHEAD)
def test_foresight(make: Any, triggers: tuple[tr.Trigger, ...], calls: list[str]) -> None:
    story = make()
    before = story.state
    assert ahead(story, *triggers) == calls
    assert story.state == before


@pytest.mark.parametrize(("make", "triggers", "calls"), AHEAD)
def test_what_is_foreseen_comes_true(
    make: Any, triggers: tuple[tr.Trigger, ...], calls: list[str]
) -> None:
    story = make()
    for trigger in triggers:
        story.when(trigger)
    made = []
    while story.state.due_at is not None:
        if not story.state.owner:
            story.wait().claimed()
        if story.calls:
            made.append(story.calls)
            story.answer("succeeded")
    assert [*made, story.state.status.value] == calls


def test_what_may_not_be_asked_for_is_not_foreseen() -> None:
    story = calling("tell").driven("succeeded")
    for trigger in (tr.Retry(), tr.Execute(), tr.Skip(step="pay")):
        story.refuses(trigger)
        with pytest.raises(Exception, match=r"cannot|not where"):
            foresee(story.definition, story.state, (trigger,), story.now)


def test_a_call_that_is_being_made_is_told_from_those_to_come() -> None:
    story = calling("pay")
    calls = foresee(story.definition, story.state, (tr.Compensate(),), story.now).calls
    assert [call.in_flight for call in calls] == [True, False, False]
    assert [call.request is not None for call in calls] == [True, False, False]
    again = stuck_refund()
    calls = foresee(again.definition, again.state, (tr.Retry(),), again.now).calls
    assert [call.in_flight for call in calls] == [False, False]
    assert [call.attempt for call in calls] == [1, 1]


def skipped_pivot(deadline: float = 60) -> Story:
    story = calling("pay", pivot="pay", deadline=deadline).driven("not_sent")
    return story.when(tr.Skip(step="pay"))


def test_a_pivot_that_a_person_saw_to_is_passed_so_that_no_deadline_turns_the_saga_round() -> None:
    story = skipped_pivot().passes(61).wait().claimed()
    assert (story.stands, story.calls) == ("forward", "tell")
    story = skipped_pivot().wait().claimed()
    story.driven("not_applied").passes(61).claimed()
    assert (story.stands, story.calls) == ("forward", "tell")


def test_a_pivot_that_a_person_saw_to_is_not_called_in_a_new_run() -> None:
    story = skipped_pivot().wait().claimed().compensate().driven("succeeded", "succeeded")
    assert story.stands == "compensated"
    assert "cannot retry" in story.refuses(tr.Retry())


def test_a_doubt_resolved_on_the_way_back_leaves_what_waits_to_wait() -> None:
    story = calling("pay").driven(*["in_doubt"] * 5)
    assert (story.stands, story.step("pay").status) == ("compensating", StepStatus.IN_PROGRESS)
    resolve(story, "pay", applied=True)
    assert (story.step("pay").status, story.waits) == (StepStatus.IN_PROGRESS, 0)
    assert story.claimed().calls == "refund"
    story = calling("pay").driven(*["in_doubt"] * 5)
    resolve(story, "pay", applied=False)
    assert (story.step("pay").status, story.waits) == (StepStatus.FAILED, 0)


def test_a_saga_that_people_mended_has_its_crashes_forgiven() -> None:
    story = calling("reserve").driven("in_doubt").wait()
    story.when(tr.Claim(owner="worker", lease=LEASE)).when(tr.Lose(owner="worker"))
    assert story.state.crashes == 1
    assert resolve(story, "reserve", applied=True).state.crashes == 0


def test_an_output_is_only_kept_of_an_action_that_counts_as_done() -> None:
    denied = resolve(pivot_in_doubt(), "pay", applied=False, output={"payment_id": "p1"})
    assert denied.step("pay").output is None
    skipped = stuck_refund().when(tr.Skip(step="pay", output={"x": 1}))
    assert skipped.step("pay").output != {"x": 1}


def test_what_is_foreseen_of_an_edited_call_has_its_fresh_key() -> None:
    story = calling("tell", pivot="pay").driven("refused")
    triggers: list[tr.Trigger] = [tr.EditData(data={"a": 2}, before={"a": 1}), tr.Retry()]
    course = foresee(story.definition, story.state, triggers, story.now)
    assert [(call.step, call.revision, call.request) for call in course.calls] == [
        ("tell", 1, None)
    ]
