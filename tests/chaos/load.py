"""The clients: each order is carried out at its time, by a bounded number of threads."""

from __future__ import annotations

import heapq
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Thread
from typing import Any

from tests.chaos.client import Answer, Client
from tests.chaos.plan import Order

_THREADS = 16
_TRIES = 40
_LOOKS = 12
"""How often a client asks for an answer, and looks for the end of its saga."""


class Load:
    """Carries orders out until all are done."""

    def __init__(self, client: Client, orders: Sequence[Order], prefix: str) -> None:
        self.problems: list[str] = []
        """What clients saw that must not be."""

        self.done: Counter[str] = Counter()
        self._client = client
        self._prefix = prefix
        self._stop = threading.Event()
        self._numbers = itertools.count()
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._changed = threading.Condition()
        self._busy = 0
        self._began = time.monotonic()
        for order in orders:
            self._at(self._began + order.at, partial(self._carry_out, order))
        self._threads = [Thread(target=self._work, daemon=True) for _ in range(_THREADS)]

    def start(self) -> None:
        """Begin; returns at once."""
        for thread in self._threads:
            thread.start()

    def finished(self) -> bool:
        """Whether nothing is left to be done."""
        with self._changed:
            return not self._waiting and not self._busy

    def stop(self) -> None:
        """Leave undone what is not done yet."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(15)

    def _at(self, when: float, what: Callable[[], None]) -> None:
        with self._changed:
            heapq.heappush(self._waiting, (when, next(self._numbers), what))
            self._changed.notify_all()

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        self._at(time.monotonic() + seconds, what)

    def _work(self) -> None:
        while (what := self._next()) is not None:
            try:
                what()
            except Exception as error:
                self.problems.append(f"a client failed: {type(error).__name__}: {error}")
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._stop.is_set():
                now = time.monotonic()
                if self._waiting and self._waiting[0][0] <= now:
                    self._busy += 1
                    return heapq.heappop(self._waiting)[2]
                wait = self._waiting[0][0] - now if self._waiting else 1.0
                self._changed.wait(min(max(wait, 0.001), 1.0))
        return None

    # --- What clients do ----------------------------------------------------------------------

    def _carry_out(self, order: Order) -> None:
        self.done[order.doing] += 1
        key = f"{self._prefix}-{order.number}"
        execute = order.doing not in ("separately", "double_click", "race")
        body = purchase(order, execute=execute)
        saga_id = self._create(order, body, key)
        if saga_id is None:
            return
        match order.doing:
            case "separately":
                self._until_known("execute", saga_id)
            case "other_body":
                self._other_body(order, key)
            case "double_click":
                self._together(saga_id, ["execute"] * 2)
            case "race":
                self._together(saga_id, ["execute", "compensate", "retry"] * 2)
            case "cancels":
                self._later(order.patience * 2, lambda: self._until_known("compensate", saga_id))
        if order.doing == "undoes" or order.returned or order.retried:
            self._later(3.0, lambda: self._afterwards(order, saga_id, _LOOKS))

    def _create(self, order: Order, body: bytes, key: str) -> str | None:
        """Post until the answer is known; the saga's id."""
        first: dict[str, Any] = {}
        if order.doing == "impatient":
            first = {"timeout": max(order.patience, 0.001)}
        elif order.doing == "hangs_up":
            first = {"hang_up": order.patience}
        elif order.doing == "double_click":
            both = self._twice(body, key)
            ids = {answer.document["id"] for answer in both if answer.status == 201}
            if len(ids) > 1:
                self.problems.append(f"key {key} was answered with two sagas: {ids}")
        answer = self._until_final(lambda **how: self._client.create(body, key, **how), first)
        if answer.status == 201:
            return str(answer.document["id"])
        if not answer.final:
            self.done["gave up"] += 1  # it was told nothing, so nothing was promised
        else:
            self.problems.append(f"create of {key} ended with {answer.status}: {answer.document}")
        return None

    def _until_final(self, ask: Callable[..., Answer], first: dict[str, Any]) -> Answer:
        answer = ask(**first)
        for tries in range(_TRIES):
            if answer.final or self._stop.is_set():
                break
            self._stop.wait(min(0.1 * 2**tries, 1.0))
            answer = ask()
        return answer

    def _until_known(self, operation: str, saga_id: str) -> None:
        self._until_final(lambda **how: self._client.operate(operation, saga_id, **how), {})

    def _other_body(self, order: Order, key: str) -> None:
        other = purchase(order, execute=True, customer=order.number + 1_000_000)
        answer = self._until_final(lambda **how: self._client.create(other, key, **how), {})
        if answer.final and answer.status != 422:
            self.problems.append(f"key {key} with another body was answered {answer.status}")

    def _twice(self, body: bytes, key: str) -> list[Answer]:
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(lambda _: self._client.create(body, key), range(2)))

    def _together(self, saga_id: str, operations: list[str]) -> None:
        with ThreadPoolExecutor(len(operations)) as pool:
            list(pool.map(lambda name: self._client.operate(name, saga_id), operations))

    def _afterwards(self, order: Order, saga_id: str, looks: int) -> None:
        """Once the saga has ended: undo it, retry it, or bring the goods back."""
        if self._stop.is_set():
            return
        saga = self._client.look(saga_id)
        status = saga.get("status")
        if status in (None, "pending", "in_progress"):
            if looks:
                self._later(2.0, lambda: self._afterwards(order, saga_id, looks - 1))
        elif status == "completed" and order.doing == "undoes":
            self._until_known("compensate", saga_id)
        elif status == "completed" and order.returned:
            self._bring_back(order, saga)
        elif status in ("failed", "compensated") and order.retried:
            self.done["retried"] += 1
            self._until_known("retry", saga_id)

    def _bring_back(self, order: Order, saga: dict[str, Any]) -> None:
        sale = next(s["output"] for s in saga["steps"] if s["name"] == "create_sale")
        body = returned(order, sale["sale_id"])
        key = f"{self._prefix}-{order.number}-return"
        answer = self._until_final(lambda **how: self._client.create(body, key, **how), {})
        if answer.final and answer.status != 201:
            self.problems.append(f"create of {key} ended with {answer.status}: {answer.document}")
        self.done["returns"] += 1


def purchase(order: Order, *, execute: bool, customer: int | None = None) -> bytes:
    """The body that creates the order's purchase."""
    card = "declined_card" if order.doing == "declined" else "credit_card"
    data = {**_goods(order, customer), "payment_method": card}
    return json.dumps({"type": "purchase_saga", "data": data, "execute": execute}).encode()


def returned(order: Order, sale_id: str) -> bytes:
    """The body that creates the return of the order's goods."""
    data = {**_goods(order, None), "sale_id": sale_id, "reason": "did not fit"}
    return json.dumps({"type": "return_saga", "data": data, "execute": True}).encode()


def _goods(order: Order, customer: int | None) -> dict[str, Any]:
    price, amount = (
        f"{c // 100}.{c % 100:02}" for c in (order.cents, order.cents * order.quantity)
    )
    item = {"product_id": order.product, "quantity": order.quantity, "price": price}
    return {
        "store_id": 1 + order.number % 5,
        "customer_id": customer or 1 + order.number,
        "items": [item],
        "amount": amount,
    }
