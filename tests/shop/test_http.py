"""The HTTP around the participants: what is malformed, and what the ledger shows."""

import hashlib
import socket
from datetime import UTC, datetime
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from shop import Shop
from tests.shop.client import Caller, request

KEY = {"Idempotency-Key": "k"}
SERVICES = ["inventory", "payment", "sales"]


def raw_answer(shop: Shop, content: bytes) -> bytes:
    host, port = urlsplit(shop.urls["payment"]).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(content)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        return answer


@pytest.mark.parametrize("service", SERVICES)
def test_health(caller: Caller, service: str) -> None:
    assert caller.get(service, "/health") == {"service": service, "status": "ok"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/payments"),
        ("POST", "/nothing"),
        ("POST", "/ledger"),
        ("POST", "/sales"),
        ("PUT", "/payments"),
        ("DELETE", "/payments"),
    ],
)
def test_an_unknown_path(shop: Shop, caller: Caller, method: str, path: str) -> None:
    response = request(shop.urls["payment"], method, path, b"{}", KEY)
    assert (response.status, response.body["code"]) == (404, "not_found")
    assert caller.get("payment", "/ledger") == {"entries": []}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b'{"a": NaN}',
        b"\xff",
        b"[" * 100_000,
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda content: content[:10].decode(errors="replace"),
)
def test_malformed_json(shop: Shop, caller: Caller, content: bytes) -> None:
    response = request(shop.urls["payment"], "POST", "/payments", content, KEY)
    assert (response.status, response.body["code"]) == (400, "malformed_json")
    (entry,) = caller.get("payment", "/ledger")["entries"]
    assert (entry["outcome"], entry["status"], entry["key"]) == ("refused", 400, "k")


def test_a_missing_key(shop: Shop, caller: Caller) -> None:
    response = request(shop.urls["payment"], "POST", "/payments", b'{"amount": "1.00"}')
    assert (response.status, response.body["code"]) == (400, "key_missing")
    (entry,) = caller.get("payment", "/ledger")["entries"]
    assert (entry["outcome"], entry["key"], entry["amount"]) == ("refused", None, "1.00")


@pytest.mark.parametrize("size", [1024 * 1024 + 1, 12 * 1024 * 1024])
def test_a_body_over_the_limit(shop: Shop, caller: Caller, size: int) -> None:
    response = request(shop.urls["payment"], "POST", "/payments", b" " * size, KEY)
    assert (response.status, response.body["code"]) == (413, "body_too_large")
    (entry,) = caller.get("payment", "/ledger")["entries"]
    assert (entry["outcome"], entry["status"], entry["body_sha256"]) == ("refused", 413, None)


def test_a_body_at_the_limit_is_read(shop: Shop) -> None:
    content = b"{}".ljust(1024 * 1024)
    response = request(shop.urls["payment"], "POST", "/payments", content, KEY)
    assert response.body["code"] == "malformed_body"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST /payments HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST /payments HTTP/1.1\r\nContent-Length: 1x\r\n\r\n", b"400"),
        (b"POST /payments HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"411"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"BREW /payments HTTP/1.1\r\n\r\n", b"501"),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", b"414"),
    ],
    ids=lambda value: value[:40].decode(),
)
def test_a_malformed_head_is_answered_in_json(shop: Shop, head: bytes, status: bytes) -> None:
    first, _, rest = raw_answer(shop, head).partition(b"\r\n")
    assert first.split()[1] == status
    assert b"Content-Type: application/json" in rest
    assert b'"code"' in rest


def test_a_caller_that_goes_away_within_its_body_has_not_called(shop: Shop, caller: Caller) -> None:
    host, port = urlsplit(shop.urls["payment"]).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b"POST /payments HTTP/1.1\r\nContent-Length: 99\r\n\r\n{")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert caller.get("payment", "/ledger") == {"entries": []}


def test_a_connection_is_kept_for_more_calls(shop: Shop) -> None:
    connection = HTTPConnection(urlsplit(shop.urls["payment"]).netloc, timeout=5)
    connection.connect()
    used = connection.sock
    for method, path in [("POST", "/nothing"), ("POST", "/payments"), ("GET", "/health")] * 2:
        connection.request(method, path, b"{", KEY)
        connection.getresponse().read()
        assert connection.sock is used
    connection.close()


def test_a_ledger_row_tells_the_call(caller: Caller) -> None:
    before = datetime.now(UTC)
    caller.reserve()
    caller.release(None)
    action, compensation = caller.ledger("inventory")
    at = datetime.fromisoformat(action.pop("at"))
    assert before <= at <= datetime.now(UTC)
    body = b'{"store_id": 1, "items": [{"product_id": 1, "quantity": 1}]}'
    assert action == {
        "seq": 1,
        "service": "inventory",
        "step": "reserve_inventory",
        "kind": "action",
        "key": caller.key("reserve"),
        "compensates": None,
        "saga_id": caller.saga_id,
        "run": "1",
        "body_sha256": hashlib.sha256(body).hexdigest(),
        "outcome": "applied",
        "amount": None,
        "status": 201,
    }
    assert compensation["kind"] == "compensation"
    assert compensation["step"] == "release_inventory"
    assert compensation["compensates"] == caller.key("reserve")


def test_the_ledger_by_saga_and_from_a_row_on(shop: Shop, caller: Caller) -> None:
    other = Caller(shop)
    for one in (caller, other, caller):
        one.pay()
    rows = caller.get("payment", "/ledger")["entries"]
    assert [row["seq"] for row in rows] == [1, 2, 3]
    assert [row["seq"] for row in caller.ledger("payment")] == [1, 3]
    assert caller.get("payment", "/ledger?after=1")["entries"] == rows[1:]
    of_saga = caller.get("payment", f"/ledger?after=1&saga_id={caller.saga_id}")["entries"]
    assert of_saga == rows[2:]
    assert caller.get("payment", "/ledger?saga_id=nobody")["entries"] == []


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "9" * 30])
def test_a_malformed_query(shop: Shop, after: str) -> None:
    assert request(shop.urls["payment"], "GET", f"/ledger?after={after}").status == 400
