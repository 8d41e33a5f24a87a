"""A crash at every point of a run is survived; and the search would tell if one were not."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from django.db import connection
from rest_framework import serializers

from executors.base import Request, SagaExecutor, SagaView, Step, post
from executors.purchase import PurchaseSagaExecutor
from executors.returns import ReturnSagaExecutor
from executors.sample import NoSample
from sagas.domain.definition import Definition
from sagas.domain.state import idempotency_key
from sagas.domain.trace import Trace
from sagas.engine.drive import Drive, _step_call
from sagas.engine.ports import Attempt
from sagas.exploration import standin
from sagas.exploration.explore import Explored, explore, scenarios
from sagas.services import InvalidData

pytestmark = pytest.mark.django_db(transaction=True)

FEW = 10**6
"""Every so many points: only the run without a crash, and the first point."""

SCENARIOS = (
    "forward",
    "retried",
    "compensating",
    "compensating, retried",
    "a new run",
    "compensated",
)
BOUNDARIES = {
    # Each transition is one statement there, with its commit.
    ("purchase_saga", "postgresql"): (22, 42, 31, 63, 51, 36),
    ("return_saga", "postgresql"): (19, 35, 25, 56, 42, 33),
    ("purchase_saga", "sqlite"): (53, 108, 74, 162, 127, 87),
    ("return_saga", "sqlite"): (46, 90, 60, 143, 105, 80),
}
"""A boundary more is a crash more that has to be survived: look at it, then change the number."""


def run(executor: SagaExecutor, scenario: str, *, every: int = 1) -> Explored:
    (explored,) = explore(executor, executor.example, only=scenario, every=every)
    return explored


def wrong(explored: Explored) -> set[str]:
    """The invariants that were broken, by number, or "ended" for any other trouble."""
    found = {problem.split(":")[0] for play in explored.bad for problem in play.problems}
    return {number if number.isdecimal() else "ended" for number in found}


@pytest.mark.parametrize("executor", [PurchaseSagaExecutor(), ReturnSagaExecutor()])
def test_the_boundaries_are_as_many_as_they_were(executor: SagaExecutor) -> None:
    found = {e.scenario.name: e for e in explore(executor, executor.example, every=FEW)}
    wanted = BOUNDARIES[executor.saga_type, connection.vendor]
    assert {n: e.boundaries for n, e in found.items()} == dict(zip(SCENARIOS, wanted, strict=True))
    assert {name for name, e in found.items() if e.bad} == set()


@pytest.mark.parametrize(
    ("executor", "scenario", "every"),
    [
        (PurchaseSagaExecutor(), "forward", 1),
        (PurchaseSagaExecutor(), "compensating", 5),
        (PurchaseSagaExecutor(), "retried", 9),
        (PurchaseSagaExecutor(), "a new run", 13),
        (ReturnSagaExecutor(), "compensating, retried", 13),
        (ReturnSagaExecutor(), "compensated", 7),
    ],
)
def test_a_crash_anywhere_is_survived(executor: SagaExecutor, scenario: str, every: int) -> None:
    explored = run(executor, scenario, every=every)
    assert [(play.point, play.problems) for play in explored.bad] == []
    crashes = len(explored.plays) - 1
    assert crashes == -(-2 * explored.boundaries // every)
    assert {play.claims for play in explored.plays} > {explored.plays[0].claims}, "none took over"


class Impure(PurchaseSagaExecutor):
    """Its method gives another body each time, which it should not."""

    numbers: ClassVar = itertools.count()

    def process_payment(self, saga: SagaView) -> Request:
        return post("/payments", {"amount": saga.data["amount"], "n": next(self.numbers)})


def test_a_method_that_is_not_pure_is_asked_once() -> None:
    assert run(Impure(), "retried", every=23).bad == []


# Each of these takes a promise away, and must be told.


def test_a_request_built_anew_for_each_attempt_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Drive._attempt

    def anew(self: Any, work: Any) -> Attempt:
        attempt = recorded(self, work)
        return replace(attempt, request=self._executor.prepare(attempt.call))

    monkeypatch.setattr(Drive, "_attempt", anew)
    assert "5" in wrong(run(Impure(), "retried", every=FEW))


def test_a_key_for_each_attempt_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = itertools.count()
    monkeypatch.setattr(
        "executors.perform.idempotency_key",
        lambda *call: f"{idempotency_key(*call)}{next(numbers)}",
    )
    assert wrong(run(PurchaseSagaExecutor(), "retried", every=FEW)) & {"1", "3", "4", "5"}


def test_participants_that_take_effect_twice_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    settle = standin.StandIn._settle

    def forgetful(self: Any, headers: Any, key: str) -> Any:
        self._books.answers.pop(key, None)
        return settle(self, headers, key)

    monkeypatch.setattr(standin.StandIn, "_settle", forgetful)
    assert "3" in wrong(run(PurchaseSagaExecutor(), "forward", every=12))


def test_a_call_before_its_start_is_committed_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker sends what it is about to record, and only then records that it does."""
    start: Any = Drive._start

    def sends_first(self: Any, work: Any, call: Any) -> Any:
        trigger = start(self, work, call)
        sent: Any = {"call": _step_call(work, call), "number": 1, "expires": float("inf")}
        sent |= {"trace": Trace(trace_id="1" * 32), "span": "1" * 16}
        self._executor.perform(Attempt(request=trigger.request, worker="", **sent))
        return trigger

    monkeypatch.setattr(Drive, "_start", sends_first)
    assert "4" in wrong(run(PurchaseSagaExecutor(), "forward", every=FEW))


def test_a_skipped_compensation_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    backward = Definition.backward

    def forgets(self: Definition) -> Any:
        return (step for step in backward(self) if step.name != "process_payment")

    monkeypatch.setattr(Definition, "backward", forgets)
    assert "2" in wrong(run(PurchaseSagaExecutor(), "compensating", every=FEW))


# Other saga types


class Pivoted(SagaExecutor):
    """A pivot amid the steps, and one without an answer's serializer."""

    saga_type = "pivoted"
    data = PurchaseSagaExecutor.data
    example = PurchaseSagaExecutor.example
    steps: ClassVar[tuple[Step, ...]] = (
        Step("reserve", "inventory", compensation="release"),
        Step("pay", "payment", pivot=True, answer=PurchaseSagaExecutor.steps[2].answer),
        Step("ship", "inventory"),
    )

    def reserve(self, saga: SagaView) -> Request:
        return post("/reserve", {})

    def release(self, saga: SagaView) -> Request:
        return post("/release", {})

    def pay(self, saga: SagaView) -> Request:
        return post("/pay", {"amount": saga.data["amount"]})

    def ship(self, saga: SagaView) -> Request:
        return post("/ship", {"paid": saga.output("pay").get("payment_id")})


class Code(serializers.Serializer[Any]):
    """Something that cannot be guessed."""

    code = serializers.RegexField(r"[a-z]{3}-\d{4}")


class Coded(Pivoted):
    saga_type = "coded"
    steps = (Step("reserve", "inventory", answer=Code),)


def test_a_saga_with_a_pivot_is_refused_there_and_cannot_be_taken_back() -> None:
    names = [scenario.name for scenario in scenarios(Pivoted())]
    assert "compensated" not in names
    for name in ("compensating, retried", "a new run"):
        assert run(Pivoted(), name, every=13).bad == []


def test_data_that_does_not_fit_and_answers_that_cannot_be_made_up_are_told() -> None:
    with pytest.raises(InvalidData):
        list(explore(PurchaseSagaExecutor(), {}))

    with pytest.raises(NoSample, match="Code does not accept"):
        list(explore(Coded(), Coded.example))
