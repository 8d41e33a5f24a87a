"""Real histories: sagas that the engine drove against the shop, with the shop's ledgers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sagas import selectors, services
from sagas.domain import triggers as tr
from sagas.domain.definition import StepDefinition
from sagas.domain.outcome import Outcome, Verdict
from sagas.domain.state import ENDED
from sagas.verify import load
from sagas.verify.case import Case
from sagas.verify.entry import Entry, entry_of
from sagas.verify.history import History, Rules
from sagas.verify.sources import Source
from shop import Shop
from tests.engine.stage import OK, Stage
from tests.shop.client import request

PURCHASE: dict[str, Any] = {
    "store_id": 1,
    "customer_id": 123,
    "items": [{"product_id": 456, "quantity": 2, "price": 29.99}],
    "payment_method": "credit_card",
    "amount": 59.98,
}


class Made(NamedTuple):
    """A saga as it was read, and what the ledgers have of it."""

    history: History
    entries: tuple[Entry, ...]

    def case(self, **rules: Any) -> Case:
        known = {
            "read_at": self.history.updated_at,
            "secrets": ("sesame",),
            "ledgers": self.history.type != "stage",
        }
        return Case(self.history, self.entries, Rules(**(known | rules)))


def fault(shop: Shop, service: str, **switch: Any) -> None:
    answer = request(shop.urls[service], "PUT", "/faults", json.dumps(switch).encode())
    assert answer.status == 201


def create(*, execute: bool = True, saga_type: str = "purchase_saga", **data: Any) -> UUID:
    body = PURCHASE | data
    if saga_type == "return_saga":
        body.pop("payment_method")
    made = services.create_saga(saga_type, body, execute=execute, actor="api")
    return made.saga.id


def drive(saga_id: UUID) -> None:
    """Drive the saga to its end, waits included."""
    until = time.monotonic() + 20
    while services.get_saga(saga_id).status not in ENDED:
        assert time.monotonic() < until, services.get_saga(saga_id).waiting
        services.drive(saga_id)
        time.sleep(0.01)


def read(saga_id: UUID, shop: Shop | None = None) -> Made:
    history = load.one(saga_id)
    assert history is not None
    entries = []
    for url in shop.urls.values() if shop else ():
        entries += [entry_of(value) for value in Source("", url).entries()]
    return Made(history, tuple(entry for entry in entries if entry.saga_id == str(saga_id)))


# --- The histories ------------------------------------------------------------------------------


def completed(shop: Shop) -> UUID:
    saga_id = create()
    drive(saga_id)
    return saga_id


def compensated(shop: Shop) -> UUID:
    """Sales refuses, after an answer of the payment was lost."""
    fault(shop, "sales", step="create_sale", fault="decline", times=1)
    fault(shop, "payment", step="process_payment", fault="reset_after", times=1)
    return completed(shop)


def failed(shop: Shop) -> UUID:
    """The reservation cannot be released."""
    fault(shop, "sales", step="create_sale", fault="decline", times=1)
    fault(shop, "inventory", step="release_inventory", fault="decline", times=1)
    return completed(shop)


def retried(shop: Shop) -> UUID:
    """The payment fails twice before it succeeds."""
    fault(shop, "payment", step="process_payment", fault="error", times=2)
    return completed(shop)


def second_run(shop: Shop) -> UUID:
    """Completed, compensated by a person, and completed in a second run."""
    saga_id = completed(shop)
    services.compensate(saga_id, actor="user:anna", reason="wrong shop")
    drive(saga_id)
    services.retry(saga_id, actor="user:anna", reason="the right one after all")
    drive(saga_id)
    return saga_id


def cancelled(shop: Shop) -> UUID:
    saga_id = create(execute=False)
    services.compensate(saga_id, actor="api")
    return saga_id


def by_hand(shop: Shop) -> UUID:
    """The reservation cannot be released, and a person sees to that."""
    saga_id = failed(shop)
    skip = services.skipping(services.get_saga(saga_id), "reserve_inventory")
    services.perform(saga_id, skip, tr.Retry(), actor="user:anna", reason="put back by hand")
    drive(saga_id)
    return saga_id


def edited(shop: Shop) -> UUID:
    """The payment is refused; with other data a second run completes."""
    fault(shop, "payment", step="process_payment", fault="decline", times=1)
    saga_id = completed(shop)
    saga = services.get_saga(saga_id)
    edit = services.editing(saga, saga.data | {"payment_method": "cash"})
    services.perform(saga_id, edit, tr.Retry(), actor="user:anna", reason="they paid in cash")
    drive(saga_id)
    return saga_id


def found_out(shop: Shop) -> UUID:
    """The payment's answer is lost, and a person finds out that it was taken."""
    fault(shop, "payment", step="process_payment", fault="reset_after", times=1)
    saga_id = create()
    services.drive(saga_id)
    saga = services.get_saga(saga_id)
    assert saga.in_doubt
    resolve = services.resolution(
        saga,
        "process_payment",
        applied=True,
        evidence="the ledger",
        output={"payment_id": "p-1"},
    )
    services.perform(saga_id, resolve, actor="user:anna", reason="it was taken")
    drive(saga_id)
    return saga_id


REAL: dict[str, Callable[[Shop], UUID]] = {
    made.__name__: made
    for made in (
        completed,
        compensated,
        failed,
        retried,
        second_run,
        cancelled,
        by_hand,
        edited,
        found_out,
    )
}


def anew() -> Made:
    """A saga of the stage, refused past its pivot, which goes on with other data."""
    stage = Stage()
    steps = (
        *(replace(step, pivot=step.name == "pay") for step in stage.definition.steps),
        StepDefinition(name="send"),
    )
    stage.definition = replace(stage.definition, steps=steps)
    stage.script = {"send": [Outcome(verdict=Verdict.REFUSED, error="no such place")]}
    saga_id = stage.create()
    engine = stage.engine()
    engine.drive(saga_id)
    edit = tr.EditData(data={"amount": "1.00", "place": "home"}, before={"amount": "1.00"})
    engine.command(saga_id, edit, tr.Retry(), actor="user:anna", reason="they moved")
    engine.drive(saga_id)
    assert [attempt.call.revision for attempt in stage.attempts] == [0, 0, 0, 0, 1]
    made = read(saga_id)
    assert made.history.status == "completed"
    assert made.history.data == edit.data
    return Made(replace(made.history, definition=stage.definition), made.entries)


def held() -> Made:
    """A saga of the stage whose second step is held back by a breaker once."""
    stage = Stage()
    wait = timedelta(microseconds=1)
    closed = Outcome(verdict=Verdict.NOT_SENT, error="the breaker is open", retry_after=wait)
    stage.script = {"book": [closed, OK]}
    saga_id = stage.create()
    for _ in range(2):
        stage.engine().drive(saga_id)
        time.sleep(0.002)
    made = read(saga_id)
    assert made.history.status == "completed"
    return Made(replace(made.history, definition=stage.definition), made.entries)


def overdue(shop: Shop) -> UUID:
    """Executed, and nobody drives it."""
    saga_id = create()
    assert list(selectors.due_sagas(10)) == [saga_id]
    return saga_id
