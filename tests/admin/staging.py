"""Purchase sagas in every state, driven by the real engine; the test writes the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.test import Client
from django.urls import reverse

from executors.purchase import PurchaseSagaExecutor
from sagas import services
from sagas.domain.definition import Definition, RetryPolicy
from sagas.domain.outcome import Outcome, Verdict
from sagas.domain.state import CallKind, Json
from sagas.engine.engine import Engine
from sagas.engine.ports import Attempt, StepCall
from sagas.models import Saga, SagaEvent

DATA = {
    "store_id": 1,
    "customer_id": 123,
    "items": [{"product_id": 456, "quantity": 2, "price": "29.99"}],
    "payment_method": "credit_card",
    "amount": "59.98",
}
WORKER = "worker-7"
LATER = RetryPolicy(max_retries=3, delay=timedelta(hours=1), max_delay=timedelta(hours=1))

OK = Outcome(verdict=Verdict.SUCCEEDED, output={"id": "x"}, answer={"status": 200})
NO = Outcome(verdict=Verdict.REFUSED, error="no money", answer={"status": 402, "body": "no money"})
LOST = Outcome(verdict=Verdict.IN_DOUBT, error="no answer in time")
HELD = Outcome(
    verdict=Verdict.NOT_SENT, error="the breaker is open", retry_after=timedelta(hours=1)
)

Script = Mapping[str, Sequence[Outcome | Exception]]


class Crash(Exception):
    """Stands for a worker that vanishes in the middle of a call."""


class Actors:
    """The catalog and the purchase's executor; answers come from the script by name, then OK."""

    def __init__(self, script: Script, requests: Mapping[str, Json]) -> None:
        real = PurchaseSagaExecutor().definition
        self.definition: Definition = replace(
            real, steps=tuple(replace(step, retry=LATER) for step in real.steps)
        )
        self._script = {name: list(answers) for name, answers in script.items()}
        self._requests = requests

    def find(self, saga_type: str, version: int) -> Actors | None:
        return self if (saga_type, version) == ("purchase_saga", 1) else None

    def prepare(self, call: StepCall) -> Json:
        return self._requests.get(call.step, {"path": f"/{call.step}", "body": "{}"})

    def perform(self, attempt: Attempt) -> Outcome:
        call = attempt.call
        step = self.definition.step(call.step)
        name = step.name if call.kind is CallKind.ACTION else step.compensation
        answers = self._script.get(name, [])
        answer = answers.pop(0) if answers else OK
        if isinstance(answer, Exception):
            raise answer
        return answer


def drive(
    saga: Saga, script: Script | None = None, requests: Mapping[str, Json] | None = None
) -> Saga:
    """The saga after one drive by `WORKER`; a Crash in the script leaves it under its lease."""
    hour = timedelta(hours=1)
    engine = Engine(Actors(script or {}, requests or {}), owner=WORKER, lease=hour, park=hour)
    with suppress(Crash):
        engine.drive(saga.id)
    return services.get_saga(saga.id)


def purchase(
    script: Script | None = None,
    *,
    driven: bool = True,
    requests: Mapping[str, Json] | None = None,
    **data: Any,
) -> Saga:
    """A new purchase, driven as far as it goes, or only pending."""
    created = services.create_saga("purchase_saga", DATA | data, execute=driven, actor="shop-api")
    return drive(created.saga, script, requests) if driven else created.saga


def pending() -> Saga:
    return purchase(driven=False)


def due() -> Saga:
    return services.create_saga("purchase_saga", DATA, execute=True, actor="shop-api").saga


def completed() -> Saga:
    return purchase()


def compensated() -> Saga:
    return purchase({"process_payment": [NO]})


def failed() -> Saga:
    """Its refund is refused, after the sale was."""
    return purchase({"create_sale": [NO], "refund_payment": [NO]})


def in_doubt() -> Saga:
    """Its payment may have been taken; it is asked again in an hour."""
    return purchase({"process_payment": [LOST]})


def compensating() -> Saga:
    """Its refund was not answered, and is asked for again in an hour."""
    return purchase({"create_sale": [NO], "refund_payment": [LOST]})


def held() -> Saga:
    return purchase({"reserve_inventory": [HELD]})


def driven_now() -> Saga:
    """A worker is calling its payment."""
    return purchase({"process_payment": [Crash()]})


def parked() -> Saga:
    saga = due()
    Saga.objects.filter(pk=saga.pk).update(definition_version=9)
    return drive(saga)


def facts(saga: Saga) -> tuple[Any, ...]:
    """What must stay as it is when nothing is to change."""
    row = Saga.objects.values_list("status", "direction", "run", "seq", "epoch").get(pk=saga.pk)
    return (*row, SagaEvent.objects.filter(saga=saga.pk).count())


def page_of(saga: Saga, view: str = "change") -> str:
    """The address of a saga's page, or of one of its operations."""
    return reverse(f"admin:sagas_saga_{view}", args=[saga.pk])


def html(client: Client, saga: Saga, view: str = "change") -> str:
    """The page's HTML."""
    response = client.get(page_of(saga, view))
    assert response.status_code == 200
    return response.content.decode()
