"""Plays the engine for one saga: makes its calls, and keeps what they give."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from executors.base import SagaExecutor
from sagas.domain import strictjson
from sagas.domain.outcome import Outcome, Verdict
from sagas.domain.state import CallKind, Json
from sagas.services import validated
from shop import Shop
from tests.executors.conftest import call, perform
from tests.shop.client import Caller


class Saga:
    """A saga of that type, with the data of this JSON text, against the shop."""

    def __init__(self, executor: SagaExecutor, text: str, shop: Shop) -> None:
        self.executor = executor
        self.data = validated(executor, strictjson.loads(text.encode()))
        self.outputs: dict[str, Json] = {}
        self.id = uuid4()
        self.shop = Caller(shop, str(self.id))

    def act(self, step: str) -> Outcome:
        """Make the action's call; its output is known from then on."""
        outcome = self._perform(step, CallKind.ACTION)
        if outcome.output is not None:
            self.outputs[step] = outcome.output
        return outcome

    def compensate(self, step: str) -> Outcome:
        return self._perform(step, CallKind.COMPENSATION)

    def go(self, until: str = "") -> None:
        """Make all actions, or those up to this one; each must succeed."""
        for step in self.executor.steps:
            outcome = self.act(step.name)
            assert outcome.verdict is Verdict.SUCCEEDED, outcome
            if step.name == until:
                return

    def turn_back(self) -> None:
        """Make all compensations, last step first; each must succeed."""
        for step in reversed(self.executor.steps):
            if step.compensation:
                outcome = self.compensate(step.name)
                assert outcome.verdict is Verdict.SUCCEEDED, outcome

    def outcomes(self, service: str) -> list[tuple[str, str]]:
        """What the participant's ledger says of this saga: the step, and what came of its call."""
        return [(entry["step"], entry["outcome"]) for entry in self.shop.ledger(service)]

    def _perform(self, step: str, kind: CallKind) -> Outcome:
        asked = call(step, kind, data=self.data, outputs=self.outputs, saga_id=self.id)
        return perform(self.executor, asked)


def without(data: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != name}
