"""What a saga type does, as frozen data: its ordered steps, their compensations and limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """How often and how patiently a call is tried again (exponential backoff with jitter)."""

    max_retries: int = 3
    """Attempts after the first, per step and round."""

    delay: timedelta = timedelta(seconds=1)
    """Wait before the first retry."""

    multiplier: float = 2.0
    """Each further wait is this many times the one before."""

    max_delay: timedelta = timedelta(minutes=5)
    """Before jitter no wait is longer, whatever the multiplier or a Retry-After says."""

    jitter: float = 0.1
    """A wait is stretched by up to this fraction, so that sagas do not retry in step."""

    def wait_after(
        self, attempt: int, *, spread: float = 0.0, retry_after: timedelta | None = None
    ) -> timedelta:
        """The wait after failed attempt number `attempt` (from 1); `spread` is in [0, 1)."""
        seconds = self.delay.total_seconds()
        for _ in range(attempt - 1):
            seconds = min(seconds * self.multiplier, self.max_delay.total_seconds())
        if retry_after is not None:
            seconds = max(seconds, retry_after.total_seconds())
        seconds = min(seconds, self.max_delay.total_seconds())
        return timedelta(seconds=seconds * (1 + self.jitter * spread))


@dataclass(frozen=True, kw_only=True, slots=True)
class StepDefinition:
    """An action and, where it has an effect to undo, its compensation."""

    name: str
    """Names the action; unique in the saga type."""

    compensation: str = ""
    """Names the compensation; empty when the action has no effect to undo."""

    pivot: bool = False
    """After this step the saga only goes forward."""

    retry: RetryPolicy = field(default_factory=RetryPolicy)
    """Applies to the action and to the compensation, each counted on its own."""

    timeout: timedelta = timedelta(seconds=5)
    """Total deadline of one call: connect, send, and the whole answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Definition:
    """The steps of one version of a saga type, in order.

    What may run next is asked of this class alone, so that a dependency graph can
    take the place of the list without a change elsewhere.
    """

    type: str
    version: int
    steps: tuple[StepDefinition, ...]
    deadline: timedelta | None = None
    """Time from execute within which the saga must finish going forward."""

    def step(self, name: str) -> StepDefinition:
        """The step of that name. Raises KeyError."""
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(name)

    def forward(self) -> Iterator[StepDefinition]:
        """The steps in the order in which their actions run."""
        return iter(self.steps)

    def backward(self) -> Iterator[StepDefinition]:
        """The steps that have a compensation, in the order in which those run."""
        return (step for step in reversed(self.steps) if step.compensation)

    @property
    def pivot(self) -> str | None:
        """The pivot's name, if there is one."""
        return next((step.name for step in self.steps if step.pivot), None)

    def is_after_pivot(self, name: str) -> bool:
        """Whether the step comes after the pivot, and so can only be retried."""
        names = [step.name for step in self.steps]
        return self.pivot is not None and names.index(name) > names.index(self.pivot)


def problems(definition: Definition) -> list[str]:
    """Why this definition cannot run, one sentence each; empty when it can."""
    names = [step.name for step in definition.steps]
    found: list[str] = []
    if not names:
        found.append("it has no steps")
    called = names + [step.compensation for step in definition.steps if step.compensation]
    found += [f"the name {name!r} is used more than once" for name in _repeated(called)]
    if not all(names):
        found.append("a step has no name")
    for step in definition.steps:
        if step.timeout <= timedelta(0):
            found.append(f"step {step.name!r} has no time to be answered in")
        if step.retry.max_retries < 0 or step.retry.delay < timedelta(0):
            found.append(f"step {step.name!r} has retries or a delay below zero")
    if definition.deadline is not None and definition.deadline <= timedelta(0):
        found.append("its deadline leaves it no time")
    pivots = [step.name for step in definition.steps if step.pivot]
    if len(pivots) > 1:
        found.append(f"it has more than one pivot: {', '.join(pivots)}")
    elif pivots:
        found += [
            f"{step.name!r} comes after the pivot {pivots[0]!r} and so cannot have a compensation"
            for step in definition.steps
            if step.compensation and definition.is_after_pivot(step.name)
        ]
    return found


def _repeated(names: list[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})
