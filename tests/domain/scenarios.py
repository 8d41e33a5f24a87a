"""The saga types whose worlds are searched."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from sagas.domain.definition import Definition, RetryPolicy, StepDefinition, problems


def _definition(*steps: StepDefinition, deadline: timedelta | None = None) -> Definition:
    definition = Definition(type="explored", version=1, steps=steps, deadline=deadline)
    assert not problems(definition)
    return definition


def _steps(number: int, retry: RetryPolicy) -> list[StepDefinition]:
    return [
        StepDefinition(name=f"s{place}", compensation=f"undo s{place}", retry=retry)
        for place in range(1, number + 1)
    ]


def plain(steps: int = 2, retries: int = 1) -> Definition:
    """Each step has a compensation."""
    return _definition(*_steps(steps, RetryPolicy(max_retries=retries)))


def hurried(steps: int = 2, retries: int = 1) -> Definition:
    """With a deadline, too."""
    policy = RetryPolicy(max_retries=retries)
    return _definition(*_steps(steps, policy), deadline=timedelta(minutes=1))


def bare(steps: int = 2, retries: int = 1) -> Definition:
    """The last step leaves nothing to take back."""
    policy = RetryPolicy(max_retries=retries)
    return _definition(*_steps(steps - 1, policy), StepDefinition(name="tell", retry=policy))


def pivot(steps: int = 3, retries: int = 1) -> Definition:
    """Compensatable steps, the pivot, and one step after it; with a deadline."""
    policy = RetryPolicy(max_retries=retries)
    return _definition(
        *_steps(steps - 2, policy),
        StepDefinition(name="pay", pivot=True, retry=policy),
        StepDefinition(name="ship", retry=policy),
        deadline=timedelta(minutes=1),
    )


DEFINITIONS: dict[str, Callable[[int, int], Definition]] = {
    "plain": plain,
    "hurried": hurried,
    "bare": bare,
    "pivot": pivot,
}
