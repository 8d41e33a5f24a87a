"""Mistakes that an orchestrator's core could make, as patches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest

from sagas.domain import events as ev
from sagas.domain.definition import Definition, StepDefinition
from sagas.domain.rules import Call, Decision
from sagas.domain.state import (
    CallKind,
    Direction,
    Effect,
    Operation,
    SagaState,
    SagaStatus,
    StepStatus,
)
from tests.domain.core import LATER

Patch = Callable[[pytest.MonkeyPatch], None]

# Ways to patch the core


def applied(cls: type[Any], change: Callable[[Any, SagaState, SagaState], SagaState]) -> Patch:
    """An event that leads to another state: `change(event, before, after)`."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        apply = cls.apply

        def wrong(self: Any, state: SagaState) -> SagaState:
            return change(self, state, apply(self, state))

        monkeypatch.setattr(cls, "apply", wrong)

    return patch


def replaced(name: str, change: Callable[[Any], Any]) -> Patch:
    """A function of the core, in each module that uses it, made from the right one."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        modules = [import_module(f"sagas.domain.{m}") for m in ("rules", "decide", "answers")]
        users = [module for module in modules if hasattr(module, name)]
        wrong = change(getattr(users[0], name))
        for module in users:
            monkeypatch.setattr(module, name, wrong)

    return patch


def steps(state: SagaState, **changes: Any) -> SagaState:
    return replace(state, steps=tuple(replace(step, **changes) for step in state.steps))


def of_step(**changes: Any) -> Callable[[Any, SagaState, SagaState], SagaState]:
    return lambda event, before, after: after.with_step(event.step, **changes)


# The mistakes that take more than a line


def forward_order(self: Definition) -> Iterator[StepDefinition]:
    return (step for step in self.steps if step.compensation)


def skips_doubt(right: Any) -> Any:
    def next_call(definition: Definition, state: SagaState) -> Call | None:
        known = state
        if state.direction is Direction.COMPENSATING:
            doubtful = [s.name for s in state.steps if s.effect is Effect.IN_DOUBT]
            for name in doubtful:
                known = known.with_step(name, effect=Effect.NONE)
        call: Call | None = right(definition, known)
        return call

    return next_call


def goes_on_forward(right: Any) -> Any:
    def next_call(definition: Definition, state: SagaState) -> Call | None:
        left = any(step.status is StepStatus.PENDING for step in state.steps)
        ahead = replace(state, direction=Direction.FORWARD) if left else state
        call: Call | None = right(definition, ahead)
        return call

    return next_call


def does_not_wait(right: Any) -> Any:
    def call_to_start(definition: Definition, state: SagaState) -> Call | None:
        calling = state.calling
        if calling and calling.calling is CallKind.ACTION and calling.name == "s1":
            state = state.with_step("s1", status=StepStatus.COMPLETED, calling=None)
        call: Call | None = right(definition, state)
        return call

    return call_to_start


def turned_at_once(event: Any, before: SagaState, after: SagaState) -> SagaState:
    return replace(steps(after, calling=None), cancel_requested=False, due_at=event.due_at)


def final(event: Any, before: SagaState, after: SagaState) -> SagaState:
    action = event.call is CallKind.ACTION
    return after.with_step(event.step, effect=Effect.NONE) if action else after


def skipped(event: Any, before: SagaState, after: SagaState) -> SagaState:
    action = event.call is CallKind.ACTION
    return after if action else after.with_step(event.step, effect=Effect.NONE)


def costly(event: Any, before: SagaState, after: SagaState) -> SagaState:
    step = before.step(event.step)
    same = {"attempts": step.attempts, "compensation_attempts": step.compensation_attempts}
    return after.with_step(event.step, **same)


def no_doubt(event: Any, before: SagaState, after: SagaState) -> SagaState:
    return after.with_step(event.step, effect=before.step(event.step).effect)


def waved_through(event: Any, before: SagaState, after: SagaState) -> SagaState:
    steps = tuple(
        replace(step, status=StepStatus.COMPLETED) if step.status is StepStatus.FAILED else step
        for step in after.steps
    )
    return replace(after, steps=steps)


def not_anew(event: Any, before: SagaState, after: SagaState) -> SagaState:
    return after if event.run > before.run else replace(after, steps=before.steps)


def always_retry(right: Any) -> Any:
    def allowed(definition: Definition, state: SagaState) -> frozenset[Operation]:
        if state.status is SagaStatus.COMPENSATED:
            return frozenset({Operation.RETRY})
        operations: frozenset[Operation] = right(definition, state)
        return operations

    return allowed


def stopped_by_deadline(right: Any) -> Any:
    def why(d: Decision, *rest: Any, **more: Any) -> str:
        late = d.state.deadline is not None and d.state.deadline < LATER
        found: str = right(d, *rest, **more)
        return found or ("failed, and the deadline passed" if late else "")

    return why


def hands_back_first(right: Any) -> Any:
    def answered(d: Decision, step: Any, call: Any, trigger: Any) -> Iterator[ev.Event]:
        return iter(()) if trigger.hand_back else right(d, step, call, trigger)

    return answered


def turns_always(right: Any) -> Any:
    def give_up(d: Decision, name: str, call: CallKind, why: str) -> Iterator[ev.Event]:
        yield d.record(ev.CompensationTriggered(reason=why))

    return give_up


def fails_always(right: Any) -> Any:
    def give_up(d: Decision, name: str, call: CallKind, why: str) -> Iterator[ev.Event]:
        yield d.record(ev.SagaFailed(reason=why))

    return give_up


def never_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Decision, "must_turn", property(lambda self: False))


def undoes_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Definition, "backward", forward_order)


def never_stops(right: Any) -> Any:
    return lambda d, *rest, **more: "failed" if d.state.cancel_requested else ""


def not_counted(event: Any, before: SagaState, after: SagaState) -> SagaState:
    return replace(after, crashes=before.crashes)


def same_epoch(event: Any, before: SagaState, after: SagaState) -> SagaState:
    return replace(after, epoch=before.epoch)


def no_call(event: Any, before: SagaState, after: SagaState) -> SagaState:
    return steps(after, calling=None)


def keeps(event: Any, before: SagaState, after: SagaState) -> SagaState:
    return replace(after, owner=before.owner, due_at=before.due_at)


def same_revision(event: Any, before: SagaState, after: SagaState) -> SagaState:
    return steps(after, revision=0)


def edits_all(right: Any) -> Any:
    return lambda state: state.status in (SagaStatus.FAILED, SagaStatus.COMPENSATED)


def undone(event: Any, before: SagaState, after: SagaState) -> SagaState:
    return after.with_step(event.step, effect=Effect.NONE)
