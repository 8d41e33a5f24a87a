"""A saga type as data: which definitions can run, in which order, how patiently."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagas.domain.definition import Definition, RetryPolicy, StepDefinition, problems
from tests.domain.given import purchase, seconds


def definition(*steps: StepDefinition) -> Definition:
    return Definition(type="t", version=1, steps=steps)


def step(name: str, compensation: str = "", *, pivot: bool = False) -> StepDefinition:
    return StepDefinition(name=name, compensation=compensation, pivot=pivot)


@pytest.mark.parametrize("pivot", ["", "reserve", "pay", "tell"])
def test_a_definition_without_problems(pivot: str) -> None:
    steps = [("reserve", "release"), ("pay", "refund"), ("tell", "")]
    after = [name for name, _ in steps].index(pivot) if pivot else len(steps)
    built = definition(
        *(
            step(name, undo if place <= after else "", pivot=name == pivot)
            for place, (name, undo) in enumerate(steps)
        )
    )
    assert problems(built) == []


PROBLEMS = [
    ([], ["it has no steps"]),
    ([step("a"), step("a")], ["the name 'a' is used more than once"]),
    ([step("a", "b"), step("b")], ["the name 'b' is used more than once"]),
    ([step("a", "a")], ["the name 'a' is used more than once"]),
    ([step("a", "x"), step("b", "x")], ["the name 'x' is used more than once"]),
    (
        [step("a", "x"), step("a", "x"), step("a")],
        ["the name 'a' is used more than once", "the name 'x' is used more than once"],
    ),
    ([step("a", pivot=True), step("b", pivot=True)], ["it has more than one pivot: a, b"]),
    (
        [step("a", pivot=True), step("b", "x"), step("c"), step("d", "y")],
        [
            "'b' comes after the pivot 'a' and so cannot have a compensation",
            "'d' comes after the pivot 'a' and so cannot have a compensation",
        ],
    ),
]


@pytest.mark.parametrize(("steps", "found"), PROBLEMS)
def test_why_a_definition_cannot_run(steps: list[StepDefinition], found: list[str]) -> None:
    assert problems(definition(*steps)) == found


def test_actions_run_in_order_and_compensations_in_the_reverse() -> None:
    bought = purchase()
    assert [s.name for s in bought.forward()] == ["reserve", "pay", "tell"]
    assert [s.compensation for s in bought.backward()] == ["refund", "release"]


def test_what_comes_after_the_pivot() -> None:
    bought = purchase(pivot="pay")
    assert bought.pivot == "pay"
    after = {s.name: bought.is_after_pivot(s.name) for s in bought.steps}
    assert after == {"reserve": False, "pay": False, "tell": True}


def test_without_a_pivot_nothing_comes_after_it() -> None:
    bought = purchase()
    assert bought.pivot is None
    assert not any(bought.is_after_pivot(s.name) for s in bought.steps)


def test_a_step_is_found_by_its_name() -> None:
    assert purchase().step("pay").compensation == "refund"
    with pytest.raises(KeyError):
        purchase().step("refund")


def test_the_numbers_of_the_seed_are_the_defaults() -> None:
    policy = RetryPolicy()
    assert policy.max_retries == 3
    assert [policy.wait_after(n) for n in (1, 2, 3)] == [seconds(1), seconds(2), seconds(4)]
    assert policy.max_delay == timedelta(minutes=5)
    assert StepDefinition(name="pay").timeout == seconds(5)


def test_no_wait_is_longer_than_the_longest() -> None:
    policy = RetryPolicy(max_delay=seconds(6))
    assert [policy.wait_after(n) for n in (3, 4, 5)] == [seconds(4), seconds(6), seconds(6)]
    assert policy.wait_after(1, retry_after=seconds(7)) == seconds(6)
    assert policy.wait_after(3, spread=0.999) < seconds(6)
    assert RetryPolicy(delay=seconds(9), max_delay=seconds(6)).wait_after(1) == seconds(6)
    assert policy.wait_after(100_000) == seconds(6), "and no number overflows"


def test_jitter_is_a_fraction_of_the_wait() -> None:
    policy = RetryPolicy(jitter=0.5)
    assert policy.wait_after(2, spread=0.5) == seconds(2.5)
    assert RetryPolicy(jitter=0).wait_after(2, spread=0.9) == seconds(2)


def test_retry_after_only_makes_the_wait_longer() -> None:
    policy = RetryPolicy()
    assert policy.wait_after(3, retry_after=seconds(1)) == seconds(4)
    assert policy.wait_after(3, retry_after=seconds(20)) == seconds(20)


@settings(max_examples=200, deadline=None)
@given(
    attempt=st.integers(1, 60),
    spread=st.floats(0, 1, exclude_max=True),
    asked=st.none() | st.floats(0, 1e6),
    delay=st.floats(0.001, 100),
    multiplier=st.floats(1, 10),
    jitter=st.floats(0, 1),
)
def test_a_wait_is_at_least_the_backoff_and_retry_after_and_at_most_the_cap_and_its_jitter(
    attempt: int, spread: float, asked: float | None, delay: float, multiplier: float, jitter: float
) -> None:
    policy = RetryPolicy(delay=seconds(delay), multiplier=multiplier, jitter=jitter)
    retry_after = None if asked is None else seconds(asked)
    wait = policy.wait_after(attempt, spread=spread, retry_after=retry_after)
    least = max(policy.wait_after(attempt), min(retry_after or seconds(0), policy.max_delay))
    assert least <= wait <= policy.max_delay * (1 + jitter) + seconds(0.001)
    assert policy.wait_after(attempt) <= policy.wait_after(attempt + 1)


def test_sagas_that_wait_for_the_cap_do_not_come_back_in_step() -> None:
    policy = RetryPolicy(max_delay=seconds(10))
    early = policy.wait_after(9, spread=0.0, retry_after=seconds(60))
    late = policy.wait_after(9, spread=0.9, retry_after=seconds(60))
    assert early == seconds(10)
    assert early < late < seconds(11)
