"""`decide` as the search uses it: remembered, checked, and with sagas made small."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple, cast

from sagas.domain import attempts as at
from sagas.domain import rules as core_rules
from sagas.domain import triggers as tr
from sagas.domain.decide import decide
from sagas.domain.definition import Definition
from sagas.domain.events import SagaCreated, evolve, replay
from sagas.domain.outcome import Outcome, Verdict
from sagas.domain.rules import Call, Illegal
from sagas.domain.state import Operation, SagaState
from tests.domain.given import LEASE, NOW
from tests.domain.invariants import check_decision

LATER = NOW + timedelta(hours=1)
"""When a lease or the deadline ends: the only other moment that there is."""

COMMANDS: dict[Operation, tr.Trigger] = {
    Operation.EXECUTE: tr.Execute(),
    Operation.COMPENSATE: tr.Compensate(),
    Operation.RETRY: tr.Retry(),
}
CLAIM = tr.Claim(owner="worker", lease=LEASE)
LOSE = tr.Lose(owner="worker")
PARK = tr.Park(reason="unknown here", wait=LEASE)
UNBUILDABLE = tr.Unbuildable(error="no")
STARTS = [tr.Start(lease=LEASE, request=cast(Any, body)) for body in range(8)]
"""To start a call with the request of this number: to be hashed, unlike a dict."""

EDIT = tr.EditData(data=cast(Any, 0), before=cast(Any, 0))
AGAIN = tr.Start(lease=LEASE, request=None)
ANSWERS = {
    (verdict, hand_back): tr.Answer(
        outcome=Outcome(verdict=verdict, error="no"), hand_back=hand_back
    )
    for verdict in Verdict
    for hand_back in (False, True)
}


class Change(NamedTuple):
    """What a trigger leads to."""

    saga: int
    fenced: bool
    """Whether the epoch is a new one."""

    started: tuple[tuple[SagaState, at.AttemptStarted, SagaState], ...]
    """The calls that were started, each with the state before and after it."""


class Core:
    """The decisions for one definition; sagas are known by their numbers."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.sagas: list[SagaState] = []
        self._numbers: dict[SagaState, int] = {}
        self._changes: dict[tuple[int, tr.Trigger], Change | None] = {}
        self._next: dict[int, Call | None] = {}

    def created(self) -> int:
        """A new saga."""
        names = tuple(step.name for step in self.definition.steps)
        return self.number(replay([SagaCreated(steps=names)]))

    def number(self, saga: SagaState) -> int:
        """The number of a saga, which stands for all that behave alike."""
        due_at = saga.due_at
        if due_at is not None:
            due_at = LATER if saga.owner and due_at > NOW else NOW
        deadline = saga.deadline
        if deadline is not None:
            deadline = LATER if deadline > NOW else NOW
        steps = tuple(replace(step, error=step.error and "no") for step in saga.steps)
        same = replace(
            saga,
            steps=steps,
            seq=0,
            epoch=0,
            due_at=due_at,
            deadline=deadline,
            reason="",
            waiting="",
        )
        found = self._numbers.setdefault(same, len(self.sagas))
        if found == len(self.sagas):
            self.sagas.append(same)
        return found

    def change(self, number: int, trigger: tr.Trigger) -> Change:
        """What the trigger leads to. Raises Illegal or Violation."""
        known = self._changes.get((number, trigger), ...)
        if known is ...:
            try:
                known = self._decided(self.sagas[number], trigger)
            except Illegal:
                known = None
            self._changes[number, trigger] = known
        if known is None:
            raise Illegal
        return known

    def next(self, number: int) -> Call | None:
        """The call that the holder of the lease is to start now."""
        if number not in self._next:
            self._next[number] = core_rules.call_to_start(self.definition, self.sagas[number])
        return self._next[number]

    def _decided(self, saga: SagaState, trigger: tr.Trigger) -> Change:
        if isinstance(trigger, tr.Claim | tr.Park) and saga.due_at is not None:
            saga = replace(saga, due_at=NOW)  # the wait, or the lease, is over
        events = decide(self.definition, saga, trigger, NOW)
        after = check_decision(self.definition, saga, trigger, events)
        started, state = [], saga
        for event in events:
            before, state = state, evolve(state, event)
            if isinstance(event, at.AttemptStarted):
                started.append((before, event, state))
        return Change(self.number(after), after.epoch > saga.epoch, tuple(started))
