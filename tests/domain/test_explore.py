"""The core holds in every order of every fault, and would not if a defence were missing.

Bounded here to seconds. Once, without a bound on faults and with one command, 2.6 million
worlds were searched in three minutes: `explore(Rules(commands=1, faults=inf))`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from sagas.domain import attempts as at
from sagas.domain.definition import Definition, StepDefinition
from sagas.domain.state import CallKind, Effect, SagaState
from tests.domain.explore import Violation, explore
from tests.domain.world import Rules


@pytest.mark.parametrize(
    ("rules", "at_least"),
    [(Rules(commands=1, faults=2), 50_000), (Rules(commands=2, faults=1), 30_000)],
)
def test_the_invariants_hold_in_every_world(rules: Rules, at_least: int) -> None:
    assert explore(rules) > at_least, "a search of little proves little"


MISSING = [
    (Rules(fence=False), "[12]: "),
    (Rules(barrier=False), "2: "),
    (Rules(idempotent=False), "3: "),
]


@pytest.mark.parametrize(("rules", "broken"), MISSING)
def test_each_defence_outside_the_core_is_needed(rules: Rules, broken: str) -> None:
    with pytest.raises(Violation, match=broken):
        explore(rules)


def test_a_step_in_doubt_must_be_compensated(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgotten(state: SagaState, step: str, call: CallKind) -> SagaState:
        return state

    monkeypatch.setattr(at, "_doubtful", forgotten)
    with pytest.raises(Violation, match="2: compensated with an effect left"):
        explore(Rules())


def test_a_refusal_after_a_doubt_must_not_be_final(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = at.AttemptRefused.apply

    def final(self: at.AttemptRefused, state: SagaState) -> SagaState:
        refused = recorded(self, state)
        return refused.with_step(self.step, effect=Effect.NONE)

    monkeypatch.setattr(at.AttemptRefused, "apply", final)
    with pytest.raises(Violation, match="2: compensated with an effect left"):
        explore(Rules())


def test_compensations_must_run_in_the_reverse_order(monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(self: Definition) -> Iterator[StepDefinition]:
        return (step for step in self.steps if step.compensation)

    monkeypatch.setattr(Definition, "backward", forward)
    with pytest.raises(Violation, match="7: "):
        explore(Rules())


def test_a_new_run_must_use_new_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = at.AttemptStarted.apply

    def same_run(self: at.AttemptStarted, state: SagaState) -> SagaState:
        return replace(asked(self, state), run=1)

    monkeypatch.setattr(at.AttemptStarted, "apply", same_run)
    with pytest.raises(Violation, match=r"[126]: "):
        explore(Rules(commands=2, faults=0))
