"""Fault switches that spoil an answer, byte for byte."""

import gzip
import json
import socket
import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from shop import Shop
from tests.shop.client import Caller
from tests.shop.struck import assert_applied, assert_prevented


def exchange(caller: Caller, shop: Shop, fault: str, **more: object) -> tuple[bytes, bytes]:
    """The head and the body of the answer to a payment that meets the fault, byte for byte."""
    caller.set_fault("payment", fault, **more)
    content = b'{"customer_id": 5, "amount": "59.98", "payment_method": "card"}'
    head = f"POST /payments HTTP/1.1\r\nIdempotency-Key: k\r\nSaga-Id: {caller.saga_id}\r\n"
    head += f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    address = urlsplit(shop.urls["payment"])
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        connection.sendall(head.encode() + content)
        received = b"".join(iter(lambda: connection.recv(1 << 20), b""))
    before, _, after = received.partition(b"\r\n\r\n")
    return before, after


def test_redirect(caller: Caller, shop: Shop) -> None:
    there = "http://127.0.0.1:1/elsewhere"
    caller.set_fault("payment", "redirect", location=there)
    response = caller.pay()
    assert (response.status, response.headers["Location"]) == (307, there)
    assert_prevented(caller, 307)


def test_redirect_of_another_kind(caller: Caller) -> None:
    caller.set_fault("payment", "redirect", status=302, retry_after=3)
    response = caller.pay()
    assert (response.status, response.headers["Retry-After"]) == (302, "3")
    assert "Location" not in response.headers


def test_drip(caller: Caller) -> None:
    caller.set_fault("payment", "drip", seconds=0.01)
    began = time.monotonic()
    assert caller.pay(timeout=0.2).status == 201
    assert time.monotonic() - began > 0.4
    assert_applied(caller)


def test_interim(caller: Caller, shop: Shop) -> None:
    head, rest = exchange(caller, shop, "interim")
    assert head == b"HTTP/1.1 103 Early Hints"
    assert rest.startswith(b"HTTP/1.1 201 Created\r\n")
    assert_applied(caller)


@pytest.mark.parametrize(
    ("fault", "status"), [("empty", b"HTTP/1.1 201"), ("no_content", b"HTTP/1.1 204")]
)
def test_answers_without_a_body(caller: Caller, shop: Shop, fault: str, status: bytes) -> None:
    head, body = exchange(caller, shop, fault)
    assert (head[:12], body) == (status, b"")
    assert (b"Content-Length: 0" in head) is (fault == "empty")
    assert_applied(caller)


def test_wrong_fields(caller: Caller) -> None:
    caller.set_fault("payment", "wrong_fields")
    assert caller.pay()[:2] == (201, {"wrong": ["fields"]})
    assert_applied(caller)


def test_oversized(caller: Caller, shop: Shop) -> None:
    head, body = exchange(caller, shop, "oversized")
    assert head.startswith(b"HTTP/1.1 201")
    assert b"Content-Length" not in head
    assert len(body) > 64 * 2**20
    assert "payment_id" in json.loads(body)
    assert_applied(caller)


def test_bomb(caller: Caller, shop: Shop) -> None:
    head, body = exchange(caller, shop, "bomb")
    assert b"\r\nContent-Encoding: gzip\r\n" in head
    assert len(body) < 100_000
    assert len(gzip.decompress(body)) > 64 * 2**20
    assert_applied(caller)


def test_an_oversized_answer_to_a_caller_that_leaves(caller: Caller, shop: Shop) -> None:
    caller.set_fault("payment", "oversized", times=1)
    connection = HTTPConnection(urlsplit(shop.urls["payment"]).netloc, timeout=5)
    connection.request("POST", "/payments", b"{}", {"Idempotency-Key": "other"})
    connection.getresponse().read(10)
    connection.close()
    assert caller.pay().status == 201
