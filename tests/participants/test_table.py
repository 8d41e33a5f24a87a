"""The table of verdicts, end to end: each odd behaviour, met once or always, forward or back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from executors.base import SagaExecutor
from sagas import services
from sagas.models import Saga
from tests.participants.stage import BOUGHT, HURRY, NOTHING, RETRIES, OddPurchase, Stage, changed

QUICK, SLOW = OddPurchase, changed(timeout=HURRY, max_retries=1)
SLACK = 0.6
"""Seconds by which a busy machine may be late in noticing that a deadline passed."""


@dataclass(frozen=True, kw_only=True)
class Odd:
    """One odd behaviour, and what is to be thought of a call that meets it."""

    where: str
    fault: str
    options: Mapping[str, Any] = field(default_factory=dict)
    action: str = "in_doubt"
    compensation: str = "in_doubt"
    applied: bool
    """Whether the call has had its effect at the participant when its caller meets the fault."""

    slow: bool = False
    """Whether only the deadline ends the call."""

    lasts: bool = True
    """Whether it can strike attempts that follow at once."""

    @property
    def purchase(self) -> type[SagaExecutor]:
        return SLOW if self.slow else QUICK

    @property
    def attempts(self) -> int:
        return 2 if self.slow else RETRIES + 1


def shop(fault: str, *, applied: bool, **more: Any) -> Odd:
    return Odd(where="shop", fault=fault, applied=applied, **more)


def proxy(fault: str, *, applied: bool, **more: Any) -> Odd:
    return Odd(where="proxy", fault=fault, applied=applied, **more)


ODD = {
    **{str(n): shop("error", options={"status": n}, applied=False) for n in (408, 425, 429)},
    **{str(n): shop("error", options={"status": n}, applied=False) for n in (500, 503)},
    "502 after": shop("error_after", options={"status": 502}, applied=True),
    "redirect": shop("redirect", options={"status": 302}, applied=False),
    "hang": shop("hang", options={"seconds": 5}, applied=False, slow=True),
    "late": shop("late", options={"seconds": 5}, applied=True, slow=True),
    "drip": shop("drip", options={"seconds": 0.1}, applied=True, slow=True),
    "reset before": shop("reset_before", applied=False),
    "reset after": shop("reset_after", applied=True),
    "truncated": shop("truncated", applied=True),
    "garbage": shop("garbage", applied=True),
    "oversized": shop("oversized", applied=True),
    "bomb": shop("bomb", applied=True),
    # An action's answer must have its fields; a compensation's says enough with its status.
    "empty": shop("empty", applied=True, compensation="succeeded"),
    "204": shop("no_content", applied=True, compensation="succeeded"),
    "wrong fields": shop("wrong_fields", applied=True, compensation="succeeded"),
    "103 first": shop("interim", applied=True, action="succeeded", compensation="succeeded"),
    "request reset": proxy("reset_before", applied=False),
    "answer reset": proxy("reset_after", applied=True),
    "answer truncated": proxy("truncate", applied=True),
    "half open": proxy("half_open", applied=True, slow=True),
    "dripping way": proxy("drip", options={"seconds": 0.01}, applied=True, slow=True),
    "slow way": proxy("delay", options={"seconds": HURRY * 1.5}, applied=True, slow=True),
    "doubled": proxy("duplicate", applied=True, action="succeeded", compensation="succeeded"),
    "idle closed": proxy("close_idle", applied=False, lasts=False),
    "refused": proxy("refuse", applied=False, action="not_applied", compensation="not_applied"),
}

SAME_AGAIN = {"hang", "late", "dripping way"}
"""To a caller that meets them always no different from the other slow ones, and slow."""

SAME_BACK = {"408", "425", "503", "late", "truncated", "request reset"}
"""Once their actions have shown that they are told apart as their twins are."""


def each(but: set[str]) -> pytest.MarkDecorator:
    rows = [pytest.param(odd, id=name) for name, odd in ODD.items() if name not in but]
    return pytest.mark.parametrize("odd", rows)


Staging = Callable[[str], Stage]


def begin(stage_for: Staging, odd: Odd) -> Stage:
    """A stage; where it matters, with a connection that was used before."""
    stage = stage_for(odd.where)
    if not odd.lasts:
        first = stage.run(stage.buy(odd.purchase))
        services.compensate(first.id, actor="test")
        stage.check(stage.run(first.id).id)
    return stage


def run_once(stage: Stage, saga: Saga, odd: Odd, call: str) -> Saga:
    """Go on with the saga; only the first of those calls meets the fault."""
    if odd.fault == "refuse":  # that is about time, not about one call
        stage.proxy.fault("refuse")
        stage.drive(saga.id)
        stage.mend()
    else:
        stage.odd(odd.where, odd.fault, call, times=1, **odd.options)
    return stage.run(saga.id)


def run_always(stage: Stage, saga: Saga, odd: Odd, call: str) -> Saga:
    stage.odd(odd.where, odd.fault, call, **odd.options)
    return stage.run(saga.id)


def once(verdict: str) -> list[tuple[int, str]]:
    """The attempts of a call of which the first meets this verdict."""
    return [(1, verdict)] if verdict == "succeeded" else [(1, verdict), (2, "succeeded")]


def always(odd: Odd, verdict: str) -> list[tuple[int, str]]:
    if verdict == "succeeded" or not odd.lasts:
        return once(verdict)
    return [(number, verdict) for number in range(1, odd.attempts + 1)]


def check_deadlines(stage: Stage, saga: Saga, odd: Odd, call: str) -> None:
    """No attempt is longer than the total deadline, and one that is slow takes all of it."""
    for event in stage.events(saga.id, call):
        took = event.data["duration_ms"] / 1000
        if odd.slow:
            assert took < HURRY + SLACK
        if odd.slow and event.kind == "attempt_failed":
            assert took > HURRY - 0.05


@each(but=set())
def test_an_action_that_meets_it_once_succeeds_in_the_end(stage_for, odd):
    stage = begin(stage_for, odd)
    saga = run_once(stage, services.get_saga(stage.buy(odd.purchase)), odd, "action")
    assert saga.status == "completed"
    assert stage.verdicts(saga.id) == once(odd.action)
    stage.check(saga.id)
    check_deadlines(stage, saga, odd, "action")
    assert stage.sums() == BOUGHT


@each(but=SAME_AGAIN)
def test_an_action_that_meets_it_always_is_compensated_if_in_doubt(stage_for, odd):
    stage = begin(stage_for, odd)
    saga = run_always(stage, services.get_saga(stage.buy(odd.purchase)), odd, "action")
    verdicts = always(odd, odd.action)
    assert stage.verdicts(saga.id) == verdicts
    assert saga.status == ("completed" if verdicts[-1][1] == "succeeded" else "compensated")
    stage.mend()
    stage.check(saga.id)
    check_deadlines(stage, saga, odd, "action")
    refunds = [outcome for step, outcome in stage.outcomes(saga.id) if step == "refund_payment"]
    if saga.status == "completed" or odd.action == "not_applied":
        assert refunds == []
    else:
        assert refunds == ["applied" if odd.applied else "noop"]
    assert stage.sums() == (BOUGHT if saga.status == "completed" else NOTHING)


@each(but=SAME_BACK)
def test_a_compensation_that_meets_it_once_succeeds_in_the_end(stage_for, odd):
    stage = begin(stage_for, odd)
    saga = stage.run(stage.buy(odd.purchase))
    services.compensate(saga.id, actor="test")
    saga = run_once(stage, saga, odd, "compensation")
    assert saga.status == "compensated"
    assert stage.verdicts(saga.id, "compensation") == once(odd.compensation)
    stage.check(saga.id)
    check_deadlines(stage, saga, odd, "compensation")
    assert stage.sums() == NOTHING


@each(but=SAME_AGAIN | SAME_BACK)
def test_a_compensation_that_meets_it_always_waits_for_a_person(stage_for, odd):
    stage = begin(stage_for, odd)
    saga = stage.run(stage.buy(odd.purchase))
    services.compensate(saga.id, actor="test")
    saga = run_always(stage, saga, odd, "compensation")
    verdicts = always(odd, odd.compensation)
    assert stage.verdicts(saga.id, "compensation") == verdicts
    check_deadlines(stage, saga, odd, "compensation")
    if verdicts[-1][1] != "succeeded":
        assert (saga.status, saga.direction) == ("failed", "compensating")
        assert saga.reason.startswith(f"refund_payment failed {odd.attempts} times: payment ")
        assert stage.outcomes(saga.id, "inventory") == [("reserve_inventory", "applied")]
        stage.mend()
        services.retry(saga.id, actor="test")
        saga = stage.run(saga.id)
    assert saga.status == "compensated"
    stage.check(saga.id)
    assert stage.sums() == NOTHING
