"""A purchase of three steps, driven by the real engine against the real shop."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.test import override_settings

from executors.base import SagaExecutor, Step
from executors.participants import participants
from executors.purchase import Payment, PurchaseSagaExecutor, Reservation, Sale
from executors.registry import registry
from sagas import runtime, selectors, services
from sagas.domain.state import ENDED
from sagas.models import Saga, SagaEvent
from shop import Shop
from tests.proxy import Proxy
from tests.shop.client import Caller, request

NEVER = {"threshold": 1000}
"""A breaker that does not hold back the calls that are looked at."""

HURRY = 0.3
"""Total deadline of a payment where only the deadline ends the calls."""

RETRIES = 2
BUYS = {
    "store_id": 1,
    "customer_id": 5,
    "items": [{"product_id": 7, "quantity": 2, "price": "29.99"}],
    "payment_method": "card",
    "amount": "59.98",
}
PATHS = {"action": b"POST /payments ", "compensation": b"POST /payments/refund "}
STEPS = {"action": "process_payment", "compensation": "refund_payment"}

_ANSWERED = ("attempt_succeeded", "attempt_refused", "attempt_failed", "attempt_held")
_LONG_ENOUGH = 20


class OddPurchase(PurchaseSagaExecutor):
    """Reserves, takes the money, sells; the money is where things go wrong."""

    saga_type = "odd_purchase"
    steps = (
        Step(
            "reserve_inventory", "inventory", compensation="release_inventory", answer=Reservation
        ),
        Step(
            "process_payment",
            "payment",
            compensation="refund_payment",
            answer=Payment,
            max_retries=RETRIES,
        ),
        Step("create_sale", "sales", compensation="cancel_sale", answer=Sale),
    )


def changed(**payment: Any) -> type[SagaExecutor]:
    """The same with another way to take the money."""
    first, second, third = OddPurchase.steps
    name = "odd_purchase_" + "_".join(payment)
    steps = (first, replace(second, **payment), third)
    return type("Changed", (OddPurchase,), {"saga_type": name, "steps": steps})


class Stage:
    """Sagas against the shop, whose payment service is reached directly or through a proxy."""

    def __init__(
        self, shop: Shop, *, through_proxy: bool = False, breaker: Mapping[str, float] = NEVER
    ) -> None:
        self.shop = shop
        self.caller = Caller(shop)
        address = urlsplit(shop.urls["payment"])
        assert address.hostname is not None
        assert address.port is not None
        self.proxy = Proxy(address.hostname, address.port).start()
        urls = shop.urls | ({"payment": self.proxy.url} if through_proxy else {})
        self._through_proxy = through_proxy
        limits = {**settings.SAGA_BREAKER, **breaker}
        self._settings = override_settings(SAGA_PARTICIPANTS=urls, SAGA_BREAKER=limits)
        self._settings.enable()
        participants.cache_clear()

    def close(self) -> None:
        self.proxy.stop()
        self._settings.disable()

    # --- Faults -------------------------------------------------------------------------------

    def odd(self, where: str, fault: str, call: str, **options: Any) -> None:
        """Have the payment service, or the way to it, behave oddly to that kind of call."""
        if where == "proxy":
            self.proxy.fault(fault, match=PATHS[call], **options)
        else:
            self.shop_fault("payment", fault, step=STEPS[call], **options)

    def shop_fault(self, service: str, fault: str, **options: Any) -> None:
        """Have one of the services misbehave."""
        answer = self.caller.set_fault(service, fault, **options)
        assert answer.status == 201, answer

    def mend(self) -> None:
        """Switch everything off."""
        self.proxy.clear()
        for url in self.shop.urls.values():
            request(url, "DELETE", "/faults")

    # --- Driving ------------------------------------------------------------------------------

    def buy(self, saga_type: type[SagaExecutor] = OddPurchase) -> UUID:
        """A new purchase that is due."""
        registry.register(saga_type)
        made = services.create_saga(saga_type.saga_type, BUYS, execute=True, actor="test")
        return made.saga.id

    def drive(self, saga_id: UUID) -> None:
        """Make its calls until it waits or ends."""
        runtime.engine().drive(saga_id)

    def run(self, saga_id: UUID) -> Saga:
        """Drive it, through all waits, until it ends."""
        until = time.monotonic() + _LONG_ENOUGH
        while (saga := services.get_saga(saga_id)).status not in ENDED:
            assert time.monotonic() < until, f"still {saga.status}"
            self.drive(saga_id)
            self.wait_until_due(saga_id)
        return saga

    def wait_until_due(self, saga_id: UUID, most: float = _LONG_ENOUGH) -> None:
        """Sleep until the saga may go on, but not longer than `most` seconds."""
        due_at = services.get_saga(saga_id).due_at
        if due_at is not None:
            left = (due_at - selectors.database_now()).total_seconds()
            time.sleep(min(max(0.0, left), most))

    # --- What became of it --------------------------------------------------------------------

    def events(self, saga_id: UUID, call: str = "action") -> list[SagaEvent]:
        """What the history says of the answers to that call of the payment service."""
        found = selectors.saga_events(saga_id).filter(step="process_payment", kind__in=_ANSWERED)
        return [event for event in found if event.data["call"] == call]

    def verdicts(self, saga_id: UUID, call: str = "action") -> list[tuple[int, str]]:
        """The same as numbers of attempts, each with its verdict."""
        return [(event.data["attempt"], _verdict(event)) for event in self.events(saga_id, call)]

    def ledger(self, saga_id: UUID, service: str = "payment") -> list[dict[str, Any]]:
        """What the participant noted of the saga's calls, once all that were sent are in."""
        caller = Caller(self.shop, str(saga_id))
        until = time.monotonic() + 5
        while self._still_to_come() and time.monotonic() < until:
            time.sleep(0.01)
        return caller.ledger(service)

    def outcomes(self, saga_id: UUID, service: str = "payment") -> list[tuple[str, str]]:
        """The ledger as pairs of step and outcome."""
        return [(entry["step"], entry["outcome"]) for entry in self.ledger(saga_id, service)]

    def _still_to_come(self) -> int:
        if not self._through_proxy:
            return 0
        struck = self.proxy.struck
        lost = struck["reset_before"] + struck["close_idle"]
        sent = len(self.proxy.requests) - lost + struck["duplicate"]
        return sent - len(self.caller.get("payment", "/ledger")["entries"])

    def sums(self) -> tuple[str, int, int]:
        """Money kept, pieces reserved and sales open, over all sagas."""
        return (
            self.caller.state("payment")["net"],
            self.caller.state("inventory")["reserved"],
            self.caller.state("sales")["open"],
        )

    def check(self, saga_id: UUID) -> None:
        """Hold the saga's end against the ledgers: no effect twice, none left over or missing."""
        status, total = services.get_saga(saga_id).status, Counter[str]()
        for service in ("inventory", "payment", "sales"):
            bodies: dict[str, str] = {}
            applied = Counter[str]()
            for entry in self.ledger(saga_id, service):
                sha256 = entry["body_sha256"]
                assert bodies.setdefault(entry["key"], sha256) == sha256, "another body"
                assert entry["key"].startswith(f"{saga_id}:1:"), "another key"
                if entry["outcome"] == "applied":
                    applied[entry["key"]] += 1
                    total[entry["kind"]] += 1
            assert set(applied.values()) <= {1}, applied
            assert len(bodies) <= 2, "an action and a compensation have a key each"
        if status == "completed":
            assert total == {"action": 3}
        elif status == "compensated":
            assert total["action"] == total["compensation"]
        self._check_bytes()

    def _check_bytes(self) -> None:
        """All that came through the proxy under one key is the same, byte for byte."""
        sent: dict[bytes, set[bytes]] = {}
        for raw in self.proxy.requests:
            key = re.search(rb"\r\nIdempotency-Key: (.+)\r\n", raw)
            assert key is not None
            attempts = re.sub(rb"\r\ntraceparent: [^\r]+", b"", raw)  # each is a span of its own
            sent.setdefault(key[1], set()).add(attempts)
        assert all(len(found) == 1 for found in sent.values()), sent


NOTHING = ("0.00", 0, 0)
BOUGHT = ("59.98", 2, 1)


def _verdict(event: SagaEvent) -> str:
    if event.kind == "attempt_failed":
        return "in_doubt" if event.data["in_doubt"] else "not_applied"
    return event.kind.removeprefix("attempt_")
