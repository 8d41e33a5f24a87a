"""Bodies that must not become a saga, sent to the running service."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from tests.acceptance.service import PURCHASE
from tests.input.conftest import BODY_LIMIT
from tests.input.guard import BODY, Guard
from tests.input.wire import SAGAS, request

pytestmark = pytest.mark.xdist_group("input")

DATA = json.dumps(PURCHASE)
GOOD = json.dumps(BODY).encode()
ITEM = PURCHASE["items"][0]


def of(data: str) -> bytes:
    """The body with other JSON text as its data."""
    return b'{"type": "purchase_saga", "data": %s}' % data.encode()


def amount(text: str) -> bytes:
    """The body with another amount, digit for digit."""
    return of(DATA.replace('"amount": 59.98', f'"amount": {text}'))


def store(text: str) -> bytes:
    return of(DATA.replace('"store_id": 1', f'"store_id": {text}'))


def paid_by(text: str) -> bytes:
    return of(DATA.replace('"credit_card"', text))


def doc(**changes: Any) -> bytes:
    return json.dumps({**BODY, **changes}).encode()


def data(**changes: Any) -> bytes:
    return doc(data={**PURCHASE, **changes})


def docs(name: str, *values: Any) -> list[bytes]:
    return [doc(**{name: value}) for value in values]


def datas(name: str, *values: Any) -> list[bytes]:
    return [data(**{name: value}) for value in values]


def items(name: str, *values: Any) -> list[bytes]:
    return [data(items=[{**ITEM, name: value}]) for value in values]


def texts(*values: Any) -> list[bytes]:
    return [json.dumps(value).encode() for value in values]


NO_JSON = [
    b"",
    b" ",
    b"{",
    b"{}}",
    b"{'type': 1}",
    b"[1,]",
    GOOD + b"x",
    GOOD[:-1],
    b"\xef\xbb\xbf" + GOOD,
    GOOD.decode().encode("utf-16"),
    GOOD.decode().encode("utf-32"),
    b'{"type": "\xff"}',
    b'{"type": "\xed\xa0\x80"}',
    b'{"type": "\xc0\x80"}',
    b"\0",
    GOOD + b"\0",
    b"NaN",
    b"-Infinity",
    amount("NaN"),
    amount("Infinity"),
    amount("1e400"),
    amount("-1e400"),
    amount("9" * 400),
    amount("-" + "9" * 5000),
    amount("59.980000000000000001"),
    amount("1e-99999999999999999999"),
    amount("059.98"),
    amount("+59.98"),
    amount("0x3b"),
    store("1E400"),
    store("9007199254740993.0"),
    paid_by('"\\u0000"'),
    paid_by('"\\ud800"'),
    paid_by('"\\udc00\\ud800"'),
    paid_by('"a\nb"'),
    of('{"a\\u0000b": 1}'),
    of('{"\\udfff": 1}'),
    of(DATA.replace("}", ', "store_id": 2}', 1)),
    GOOD.replace(b"{", b'{"type": "return_saga", ', 1),
    GOOD.replace(b"{", b'{"execute": true, "execute": false, ', 1),
    b"[" * 30_000,
    b"[" * 30_000 + b"]" * 30_000,
    b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    of("[" * 40 + "]" * 40),
    gzip.compress(GOOD),
]


@pytest.mark.parametrize("body", NO_JSON, ids=range(len(NO_JSON)))
def test_what_is_no_usable_json(guard: Guard, body: bytes) -> None:
    guard.refused(request("POST", SAGAS, body), 400)


NO_SAGA: list[bytes] = [
    *texts(None, True, 0, 1.5, "text", [], [BODY], {}),
    *docs("type", "", " ", None, True, 5, 1.0, [], {}, "nope", "x" * 60_000),
    *docs("type", "Purchase_saga", " purchase_saga", "purchase_saga\n"),
    *docs("data", None, True, 7, "text", [], [1], [PURCHASE], {}),
    *docs("execute", None, 0, 1, 1.0, "true", "yes", "on", "T", "", [], {}),
    *(
        doc(**{name: value})
        for name in ("status", "epoch", "owner", "id", "version", "run", "seq", "due_at", "Execute")
        for value in ("completed", 1)
    ),
    *(
        data(**{name: 1})
        for name in ("status", "epoch", "owner", "id", "version", "run", "__proto__")
    ),
    doc(**{"<script>\u202e\n": 1}),
    doc(data={f"k{number}": 1 for number in range(5000)}),
    *datas("amount", 0, -0.01, -59.98, "0.00", "-0", 59.981, "59.980", 1e30),
    *datas("amount", True, None, "", "NaN", "sNaN", "Infinity", "1e1", [], {}),
    *datas("amount", 59.97, 60, "59,98", "0x3b", "5_9.98", " 59.98", "٥٩.٩٨"),
    *datas("amount", "+59.98", "59.98\n", "1000000000000.00", "9" * 400),
    *datas("store_id", 0, -1, 1.5, True, None, "", "one", 2**63, 10**29, []),
    *datas("store_id", "1_0", " 1", "+1", "1.0", "١", "9" * 400, "1e1", "0x1"),
    *datas("items", None, {}, [], "items", 1, [[]], [None], [True], [ITEM] * 2),
    *items("quantity", 0, -2, 2.5, True, "two", 2**63),
    *items("price", 0, -29.99, 29.999, False, "1e400"),
    data(items=[{**ITEM, "price": "0.01", "quantity": 1}] * 501, amount="5.01"),
    data(items=[{**ITEM, "colour": "red"}]),
    data(items=[{"product_id": 1}]),
    *datas("payment_method", None, "", " ", "\u2003", True, 12, [], "x" * 51),
]


@pytest.mark.parametrize("body", NO_SAGA, ids=[body[:90].decode() for body in NO_SAGA])
def test_json_that_is_no_saga(guard: Guard, body: bytes) -> None:
    assert guard.refused(request("POST", SAGAS, body), 400).json["errors"]


def test_an_answer_does_not_grow_with_what_is_wrong(guard: Guard) -> None:
    body = doc(data={**PURCHASE, "items": [{f"k{n}": 1 for n in range(60)}] * 80})
    assert len(body) < BODY_LIMIT
    guard.refused(request("POST", SAGAS, body), 400)


REASONS: list[Any] = [None, 5, True, [], {}, "x" * 1001]
OPERATIONS: list[bytes] = [
    *texts(None, True, 0, "text", [], [{}]),
    *texts(*({"reason": value} for value in REASONS)),
    b'{"reason": "\\u0000"}',
    b'{"reason": "\\ud800"}',
    b'{"reason": "a", "reason": "b"}',
    b'{"actor": "root"}',
    b'{"epoch": 1}',
    b"{",
]


@pytest.mark.parametrize("body", OPERATIONS, ids=range(len(OPERATIONS)))
@pytest.mark.parametrize("operation", ["execute", "compensate", "retry"])
def test_an_operation_with_a_wrong_body(guard: Guard, operation: str, body: bytes) -> None:
    pending = guard.service.get("?status=pending&limit=1")["results"][0]["id"]
    guard.refused(request("POST", f"{SAGAS}/{pending}/{operation}", body), 400)
