"""Given, when, then: the story of one saga, told in the words of the design.

>>> story = given().executed().claimed()  # reserve is being called
>>> story.answer("in_doubt").wait().claimed()  # and again, after the wait
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sagas.domain import triggers as tr
from sagas.domain.codec import encode
from sagas.domain.decide import decide
from sagas.domain.definition import Definition, RetryPolicy, StepDefinition
from sagas.domain.events import Event, SagaCreated, replay
from sagas.domain.outcome import Outcome, Verdict
from sagas.domain.rules import Illegal, call_to_start
from sagas.domain.state import CallKind, StepState

NOW = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
LEASE = timedelta(seconds=30)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def purchase(*, pivot: str = "", deadline: float | None = None, max_retries: int = 3) -> Definition:
    """reserve ↔ release, pay ↔ refund, and tell, which leaves nothing to take back."""
    undo = {"reserve": "release", "pay": "refund", "tell": ""}
    return Definition(
        type="purchase",
        version=1,
        steps=tuple(
            StepDefinition(
                name=name,
                compensation=compensation,
                pivot=name == pivot,
                retry=RetryPolicy(max_retries=max_retries, jitter=0.5),
            )
            for name, compensation in undo.items()
        ),
        deadline=None if deadline is None else seconds(deadline),
    )


class Story:
    """A saga, the clock beside it, and everything that was recorded."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.now = NOW
        names = tuple(step.name for step in definition.steps)
        self.recorded: tuple[Event, ...] = (SagaCreated(steps=names),)
        self.state = replay(self.recorded)
        self.last: tuple[Event, ...] = ()

    # when

    def when(self, trigger: tr.Trigger) -> Story:
        self.last = decide(self.definition, self.state, trigger, self.now)
        self.state = replay(self.last, self.state)
        self.recorded += self.last
        return self

    def works(self, trigger: tr.Trigger) -> Story:
        """It happens to the worker, which starts its next call, if there is one, at once."""
        caused = self.when(trigger).last
        while call_to_start(self.definition, self.state) is not None:
            caused += self.when(tr.Start(lease=LEASE, request={"body": "{}"})).last
        self.last = caused
        return self

    def executed(self) -> Story:
        return self.when(tr.Execute())

    def compensate(self, reason: str = "") -> Story:
        return self.when(tr.Compensate(reason=reason))

    def retried(self) -> Story:
        return self.when(tr.Retry())

    def claimed(self, owner: str = "worker") -> Story:
        return self.works(tr.Claim(owner=owner, lease=LEASE))

    def parked(self) -> Story:
        return self.when(tr.Park(reason="version 1 is unknown here", wait=seconds(60)))

    def answer(
        self, verdict: str, *, spread: float = 0.0, hand_back: bool = False, **outcome: Any
    ) -> Story:
        outcome.setdefault("error", "" if verdict == "succeeded" else f"it was {verdict}")
        return self.works(
            tr.Answer(
                outcome=Outcome(verdict=Verdict(verdict), **outcome),
                spread=spread,
                hand_back=hand_back,
            )
        )

    def passes(self, number: float) -> Story:
        self.now += seconds(number)
        return self

    def wait(self) -> Story:
        """Until the saga is due."""
        assert self.state.due_at is not None
        self.now = max(self.now, self.state.due_at)
        return self

    def crash(self) -> Story:
        """The worker vanishes; when its lease is over another takes the saga."""
        assert self.state.owner
        return self.wait().claimed("successor")

    def driven(self, *verdicts: str) -> Story:
        """Each call gets the next of these answers; a worker comes whenever one is needed."""
        for verdict in verdicts:
            if not self.state.owner:
                self.wait().claimed()
            self.crash() if verdict == "crash" else self.answer(verdict)
        return self

    # then

    @property
    def stands(self) -> str:
        """The saga's status, and where it is going while it is in progress."""
        status = self.state.status.value
        return self.state.direction.value if status == "in_progress" else status

    @property
    def calls(self) -> str:
        """What is being called now: the name of an action or of a compensation."""
        step = self.state.calling
        if step is None:
            return ""
        if step.calling is CallKind.ACTION:
            return step.name
        return self.definition.step(step.name).compensation

    @property
    def where(self) -> str:
        return f"{self.stands}, calls {self.calls}" if self.calls else self.stands

    @property
    def waits(self) -> float:
        """Seconds from now until the saga is due."""
        assert self.state.due_at is not None
        return (self.state.due_at - self.now).total_seconds()

    @property
    def kinds(self) -> list[str]:
        """The kinds of what the last trigger caused."""
        return [encode(event)[0] for event in self.last]

    def step(self, name: str) -> StepState:
        return self.state.step(name)

    def refuses(self, trigger: tr.Trigger) -> str:
        """Assert that the trigger is illegal and leaves no trace; why it is."""
        before, recorded = self.state, self.recorded
        with pytest.raises(Illegal) as refusal:
            self.when(trigger)
        assert (self.state, self.recorded) == (before, recorded)
        return str(refusal.value)


def given(definition: Definition | None = None, **options: Any) -> Story:
    """A pending saga of that definition, or of a purchase with these options."""
    return Story(definition or purchase(**options))


def calling(name: str, **options: Any) -> Story:
    """A purchase whose actions before `name` succeeded, and in which that one is in flight."""
    story = given(**options).executed().claimed()
    while story.calls != name:
        story.answer("succeeded")
    return story
