"""What a preview shows is what the shop then gets: the same keys and bodies in the same order."""

from __future__ import annotations

import hashlib
import random
from typing import Any
from uuid import UUID

import pytest

from executors.purchase import PurchaseSagaExecutor
from executors.registry import registry
from executors.returns import ReturnSagaExecutor
from executors.sample import sample
from sagas import services
from sagas.domain import triggers as tr
from sagas.domain.state import Operation
from sagas.models import Saga
from sagas.preview import Plan
from tests.participants.stage import BUYS, Stage

pytestmark = pytest.mark.django_db

SERVICES = ("inventory", "payment", "sales")
FAULTS = ("decline", "error", "error_after", "garbage", "redirect")
ROUNDS = 6
COMMANDS: dict[Operation, tr.Trigger] = {
    Operation.EXECUTE: tr.Execute(),
    Operation.COMPENSATE: tr.Compensate(reason="why"),
    Operation.RETRY: tr.Retry(),
}
NAMES = {
    step.name: step for each in (PurchaseSagaExecutor, ReturnSagaExecutor) for step in each.steps
}


def answer(saga: Saga, step: str) -> dict[str, Any] | None:
    """What a person says that the participant would have answered."""
    executor = registry.newest(saga.type)
    assert executor is not None
    serializer = executor.step(step).answer
    return sample(serializer, "by hand") if serializer is not None else None


class Walk:
    """One saga to which things happen, and people who put it right."""

    def __init__(self, stage: Stage, chance: random.Random) -> None:
        self.stage, self.chance = stage, chance
        self.did: set[str] = set()

    def create(self) -> UUID:
        bought = services.create_saga(
            "purchase_saga", BUYS, execute=self.chance.random() < 0.8, actor="test"
        ).saga
        if self.chance.random() < 0.5 or bought.status == "pending":
            return bought.id
        sale = self.stage.run(bought.id).steps.get(name="create_sale").output
        assert sale is not None
        data = {name: BUYS[name] for name in ("store_id", "customer_id", "items", "amount")}
        returned = data | {"sale_id": sale["sale_id"]}
        execute = self.chance.random() < 0.8
        return services.create_saga("return_saga", returned, execute=execute, actor="test").saga.id

    def ledger(self, saga_id: UUID) -> list[dict[str, Any]]:
        entries = [e for name in SERVICES for e in self.stage.ledger(saga_id, name)]
        return sorted(entries, key=lambda entry: entry["at"])

    def goes_wrong(self, saga_id: UUID) -> None:
        """It is asked to go on while some of its calls fail, and driven once or until it ends."""
        saga = services.get_saga(saga_id)
        for step in saga.steps.all():
            for name in filter(None, (step.name, step.compensation)):
                if self.chance.random() < 0.4:
                    service = NAMES[step.name].participant
                    fault, times = self.chance.choice(FAULTS), self.chance.choice([1, 9])
                    self.stage.caller.set_fault(service, fault, step=name, times=times)
        allowed = services.allowed(saga)
        if allowed and saga.status != "in_progress":
            operation = Operation(self.chance.choice(allowed))
            services.OPERATIONS[operation](saga_id, actor="bob", reason="why")
        if self.chance.random() < 0.6:
            self.stage.drive(saga_id)
        else:
            self.stage.run(saga_id)
        self.stage.mend()

    def choices(self, saga: Saga) -> list[tuple[tr.Trigger, ...]]:
        found: list[tuple[tr.Trigger, ...]] = [
            (COMMANDS[Operation(name)],) for name in services.allowed(saga)
        ]
        mendable = services.mendable(saga)
        mends: list[tr.Trigger] = [self.truth(saga, step) for step in mendable.doubts]
        if mendable.skip:
            step = mendable.skip.step
            mends.append(services.skipping(saga, step, answer(saga, step)))
        if mendable.edit:
            changed = "cash" if saga.type == "purchase_saga" else "torn"
            name = "payment_method" if saga.type == "purchase_saga" else "reason"
            mends.append(services.editing(saga, saga.data | {name: changed}))
        stands = saga.ended_at is not None
        found += [(mend, tr.Retry()) if stands else (mend,) for mend in mends]
        return found

    def truth(self, saga: Saga, step: str) -> tr.Resolve:
        mine = [e for e in self.ledger(saga.id) if e["step"] == step]
        mine = [e for e in mine if e["key"].split(":")[1] == str(saga.run)]
        applied = any(entry["outcome"] == "applied" for entry in mine)
        output = answer(saga, step) if applied else None
        return services.resolution(saga, step, applied=applied, evidence="e", output=output)

    def put_right(self, saga_id: UUID) -> None:
        saga = services.get_saga(saga_id)
        choices = []
        for triggers in self.choices(saga):
            try:
                choices.append((triggers, services.preview(saga_id, *triggers)))
            except services.NotAllowed:
                assert len(triggers) == 2, "what is offered is possible"
        if not choices:
            return
        triggers, plan = self.chance.choice(choices)
        before = self.ledger(saga_id)
        services.perform(
            saga_id, *triggers, actor="ann", reason="why", fingerprint=plan.fingerprint
        )
        self.did.add(f"{type(triggers[0]).__name__} {saga.status}")
        after = self.stage.run(saga_id)
        sent = self.ledger(saga_id)[len(before) :]
        self.compare(plan, after, sent)

    def compare(self, plan: Plan, after: Saga, sent: list[dict[str, Any]]) -> None:
        told = [(entry["step"], entry["key"]) for entry in sent]
        shown = [(call.name, call.key) for call in plan.calls]
        if told == shown:
            assert after.status == plan.ends
        else:  # a participant said no, which is its business
            assert any(entry["outcome"] in ("refused", "barred") for entry in sent), (told, shown)
        for call, entry in zip(plan.calls, sent, strict=False):
            if call.key != entry["key"]:
                break
            assert call.request is not None
            if call.exact:
                body = call.request["body"].encode()
                assert hashlib.sha256(body).hexdigest() == entry["body_sha256"], call
            if call.takes_back:
                assert entry["compensates"] == call.takes_back


@pytest.mark.parametrize("seed", range(4))
def test_what_is_shown_is_what_is_sent(stage: Stage, seed: int) -> None:
    walk = Walk(stage, random.Random(seed))
    saga_id = walk.create()
    for _ in range(ROUNDS):
        walk.goes_wrong(saga_id)
        walk.put_right(saga_id)
    assert len(walk.did) >= 2, "a walk on which little happens proves little"
