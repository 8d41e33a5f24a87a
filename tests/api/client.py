"""A client that holds every answer to the OpenAPI document."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, connections
from django.test import Client

from sagas.models import Saga
from tests.api.contract import Contract

SAGAS = "/api/v1/sagas"

# The body of the seed document's first curl command.
PURCHASE: dict[str, Any] = {
    "type": "purchase_saga",
    "data": {
        "store_id": 1,
        "customer_id": 123,
        "items": [{"product_id": 456, "quantity": 2, "price": 29.99}],
        "payment_method": "credit_card",
        "amount": 59.98,
    },
}

on_servers = pytest.mark.skipif(
    connection.vendor == "sqlite",
    reason="takes a server away, and the embedded default has none",
)


def purchase(**changes: Any) -> dict[str, Any]:
    """The seed's body with other data."""
    return {**PURCHASE, "data": {**PURCHASE["data"], **changes}}


class Answer:
    """What came back."""

    def __init__(self, response: Any) -> None:
        self.status: int = response.status_code
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        self.body: bytes = response.content

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Api:
    """Calls of the API in this process, without a network."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.client = Client(raise_request_exception=False)

    def send(
        self,
        method: str,
        path: str,
        content: bytes = b"",
        content_type: str = "application/json",
        /,
        **headers: str,
    ) -> Answer:
        """Any request; `Prefer="wait=1"` or `Idempotency_Key="k"` become headers."""
        answer = Answer(
            self.client.generic(
                method,
                path,
                content,
                content_type,
                headers={name.replace("_", "-"): value for name, value in headers.items()},
            )
        )
        where = path.partition("?")[0]
        if method != "HEAD":
            self.contract.check(method, where, answer.status, answer.headers, answer.body)
        return answer

    def get(self, path: str, **headers: str) -> Answer:
        return self.send("GET", path, b"", **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        content = b"" if body is None else json.dumps(body).encode()
        return self.send("POST", path, content, **headers)

    def create(self, body: Any = PURCHASE, **headers: str) -> Answer:
        return self.post(SAGAS, body, **headers)

    def new(self, **more: Any) -> str:
        """The id of a new saga."""
        answer = self.create({**PURCHASE, **more})
        assert answer.status == 201, answer.body
        saga_id: str = answer.json["id"]
        return saga_id

    def saga(self, saga_id: str) -> Any:
        return self.get(f"{SAGAS}/{saga_id}").json

    def refused(self, answer: Answer, status: int = 400) -> Any:
        """The problem, after checking that it is one and that no saga came of it."""
        assert answer.status == status, answer.body
        assert answer.json["status"] == status
        assert b"Traceback" not in answer.body
        assert not Saga.objects.exists()
        return answer.json


def in_thread(work: Any) -> Any:
    """The work, giving this thread's database connections back after it."""

    def run(*args: Any) -> Any:
        try:
            return work(*args)
        finally:
            connections.close_all()

    return run


def unknown() -> str:
    """The address of a saga that does not exist."""
    return f"{SAGAS}/{uuid4()}"
