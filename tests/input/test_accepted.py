"""What is accepted is kept as it was sent; checked in the database of the running service."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.acceptance.service import PURCHASE
from tests.input.guard import BODY, Guard
from tests.input.wire import SAGAS, request

pytestmark = pytest.mark.xdist_group("input")

GOOD = json.dumps(BODY).encode()
ITEM = PURCHASE["items"][0]


def created(guard: Guard, body: bytes, *lines: bytes, **more: Any) -> Any:
    """The document of the one saga that the request made."""
    before = guard.count()
    answer = guard.send(request("POST", SAGAS, body, *lines, **more))
    assert answer.status == 201, answer
    guard.contract.check("POST", SAGAS, 201, answer.headers, answer.body)
    assert guard.count()[0] == before[0] + 1
    assert guard.stored(answer.json["id"]) == answer.json["data"]
    return answer.json


@pytest.mark.parametrize(
    ("price", "quantity", "amount", "kept"),
    [
        ("0.01", 1, "0.01", "0.01"),
        ("0.1", 3, "0.3", "0.30"),
        ("0.07", 3, "0.21", "0.21"),
        ("1.1", 3, "3.3", "3.30"),
        ("29.990", 2, "59.980", "59.98"),
        ("2.999e1", 2, "5998e-2", "59.98"),
        ('"29.99"', 2, '"59.98"', "59.98"),
        ("100", 1, "1e2", "100.00"),
        ("4503599627.37", 2, "9007199254.74", "9007199254.74"),
        ("999999999999.99", 1, "999999999999.99", "999999999999.99"),
        ('"999999999999.99"', 1, '"999999999999.99"', "999999999999.99"),
    ],
)
def test_money_is_exact(guard: Guard, price: str, quantity: int, amount: str, kept: str) -> None:
    text = json.dumps({**PURCHASE, "items": [{**ITEM, "quantity": quantity, "price": 1.25}]})
    text = text.replace('"price": 1.25', f'"price": {price}')
    text = text.replace('"amount": 59.98', f'"amount": {amount}')
    data = created(guard, b'{"type": "purchase_saga", "data": %s}' % text.encode())["data"]
    assert data["amount"] == kept
    assert Decimal(data["items"][0]["price"]) * quantity == Decimal(kept)


@pytest.mark.parametrize("number", [1, 2**53 + 1, 2**63 - 1, "42", 7.0])
def test_numbers_are_exact(guard: Guard, number: Any) -> None:
    body = json.dumps({**BODY, "data": {**PURCHASE, "store_id": number}}).encode()
    assert created(guard, body)["data"]["store_id"] == int(number)


TEXTS = [
    "card",
    " card ",
    "carte\nbleue",
    "\x07\x1b[31m",
    "\u202e\ufffe\ud7ff",
    "💩" * 50,
    "é" * 50,
    "e\u0301",  # is not composed
    "'; DROP TABLE sagas_saga; --",
    "<script>alert(1)</script>",
    "=1+1",
    "%00",
    "\\u0000",
    "null",
]


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_text_is_kept_as_it_is(guard: Guard, text: str) -> None:
    for ensure_ascii in (True, False):
        body = json.dumps(
            {**BODY, "data": {**PURCHASE, "payment_method": text}}, ensure_ascii=ensure_ascii
        )
        assert created(guard, body.encode())["data"]["payment_method"] == text


def test_five_hundred_items(guard: Guard) -> None:
    items = [{"product_id": n + 1, "quantity": 1, "price": "0.01"} for n in range(500)]
    body = json.dumps({**BODY, "data": {**PURCHASE, "items": items, "amount": "5.00"}}).encode()
    assert created(guard, body)["data"]["items"] == items


@pytest.mark.parametrize(
    ("lines", "more"),
    [
        ((b"Expect: 100-continue",), {}),
        ((b"Content-Encoding: Identity",), {}),
        ((b"Content-Encoding:",), {}),
        ((b"X-Long: " + b"a" * 7000,), {}),
        ((b"Prefer: wait=nonsense",), {}),
        ((b"Idempotency_Key: a server drops such names",), {}),
        ((), {"content_type": b"application/x-www-form-urlencoded"}),  # curl -d
        ((), {"content_type": b"application/json; charset=utf-8"}),
        ((), {"content_type": b"application/json; charset=utf-16"}),  # RFC 8259 knows no charset
        ((), {"content_type": b"APPLICATION/JSON"}),
    ],
)
def test_what_makes_no_difference(guard: Guard, lines: tuple[bytes], more: Any) -> None:
    assert created(guard, GOOD, *lines, **more)["status"] == "pending"


@pytest.mark.parametrize("key", [b"!", b"~" * 255, b"'\"<>&\\%00", b"a;b=c"])
def test_keys_at_the_edge(guard: Guard, key: bytes) -> None:
    line = b"Idempotency-Key: " + key
    first = created(guard, GOOD, line)
    before = guard.count()
    again = guard.send(request("POST", SAGAS, GOOD, line))
    assert (again.status, again.json["id"]) == (201, first["id"])
    assert again.headers["idempotency-replayed"] == "true"
    other = json.dumps({**BODY, "execute": True}).encode()
    guard.refused(request("POST", SAGAS, other, line), 422)
    assert guard.count() == before


def test_a_reason_is_kept_as_it_is(guard: Guard) -> None:
    for reason in (" spaced ", "two\nlines", "<b>", "", "x" * 1000):
        saga_id = created(guard, GOOD)["id"]
        body = json.dumps({"reason": reason}).encode()
        answer = guard.send(request("POST", f"{SAGAS}/{saga_id}/compensate", body))
        assert answer.status == 202
        events = guard.service.get(f"/{saga_id}/events")
        asked = next(event for event in events if event["kind"] == "compensate_requested")
        assert asked["reason"] == reason
        assert asked["actor"] == "api"
