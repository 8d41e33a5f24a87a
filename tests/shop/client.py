"""A caller of the shop, as simple as the standard library allows."""

import json
from http.client import HTTPConnection
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit
from uuid import uuid4


class Served(Protocol):
    """A shop, here or in another process."""

    urls: dict[str, str]


class Response(NamedTuple):
    status: int
    body: Any
    headers: dict[str, str]


def request(
    url: str,
    method: str,
    path: str,
    content: bytes | None = None,
    headers: dict[str, str] | None = None,
    timeout: float = 5,
) -> Response:
    """Send one request on a connection of its own, and read the whole answer."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=timeout)
    try:
        connection.request(method, path, content, headers or {})
        response = connection.getresponse()
        return Response(response.status, json.loads(response.read()), dict(response.getheaders()))
    finally:
        connection.close()


class Caller:
    """Plays the orchestrator of one saga."""

    def __init__(self, shop: Served, saga_id: str | None = None) -> None:
        self.saga_id = saga_id or str(uuid4())
        self._shop = shop

    def key(self, name: str) -> str:
        return f"{self.saga_id}:1:{name}"

    def call(
        self,
        service: str,
        path: str,
        body: object,
        key: str,
        compensates: str | None = None,
        timeout: float = 5,
        step: str | None = None,
    ) -> Response:
        headers = {"Idempotency-Key": self.key(key), "Saga-Id": self.saga_id, "Saga-Run": "1"}
        if compensates:
            headers["Compensates"] = self.key(compensates)
        if step:
            headers["Saga-Step"] = step
        content = json.dumps(body).encode()
        return request(self._shop.urls[service], "POST", path, content, headers, timeout)

    def pay(self, key: str = "pay", amount: object = "59.98", **more: Any) -> Response:
        body = {"customer_id": 5, "amount": amount, "payment_method": "credit_card"}
        return self.call("payment", "/payments", body, key, **more)

    def repay(self, payment_id: str | None = None, key: str = "repay", **more: Any) -> Response:
        body = {"payment_id": payment_id}
        return self.call("payment", "/payments/refund", body, key, compensates="pay", **more)

    def refund(self, payment_id: str, amount: str, key: str = "refund") -> Response:
        body = {"payment_id": payment_id, "sale_id": "s", "amount": amount}
        return self.call("payment", "/refunds", body, key)

    def unrefund(self, key: str = "unrefund", compensates: str = "refund") -> Response:
        return self.call("payment", "/refunds/reverse", {"refund_id": None}, key, compensates)

    def reserve(self, product: int = 1, quantity: int = 1, key: str = "reserve") -> Response:
        body = {"store_id": 1, "items": [{"product_id": product, "quantity": quantity}]}
        return self.call("inventory", "/reservations", body, key)

    def release(self, reservation_id: str | None = None, key: str = "release") -> Response:
        body = {"reservation_id": reservation_id}
        return self.call("inventory", "/reservations/release", body, key, compensates="reserve")

    def commit(self, reservation_id: str, key: str = "commit") -> Response:
        body = {"reservation_id": reservation_id}
        return self.call("inventory", "/reservations/commit", body, key)

    def get(self, service: str, path: str) -> Any:
        return request(self._shop.urls[service], "GET", path).body

    def state(self, service: str) -> Any:
        return self.get(service, "/state")

    def ledger(self, service: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.get(service, f"/ledger?saga_id={self.saga_id}")[
            "entries"
        ]
        return entries

    def outcomes(self, service: str) -> list[str]:
        return [entry["outcome"] for entry in self.ledger(service)]

    def set_fault(self, service: str, fault: str, **more: object) -> Response:
        content = json.dumps({"fault": fault, **more}).encode()
        return request(self._shop.urls[service], "PUT", "/faults", content)
