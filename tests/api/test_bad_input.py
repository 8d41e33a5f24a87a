"""Bodies and keys that must not become a saga."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagas.models import Saga
from tests.api.client import PURCHASE, SAGAS, Api, purchase

pytestmark = pytest.mark.django_db

DATA = json.dumps(PURCHASE["data"])
DEEP = 100_000


def with_data(data: str) -> bytes:
    """The seed's body with other JSON text as its data."""
    return b'{"type": "purchase_saga", "data": %s}' % data.encode()


def with_amount(text: str) -> bytes:
    """The seed's body with another number as its amount, digit for digit."""
    return with_data(DATA.replace('"amount": 59.98', f'"amount": {text}'))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" ",
        b"{",
        b"{}}",
        b"{'type': 'purchase_saga'}",
        b'{"type": "purchase_saga",}',
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        '{"type": "achat"}'.encode("utf-16"),
        b'{"type": "\xe9"}',
        b"NaN",
        b"Infinity",
        with_amount("NaN"),
        with_amount("-Infinity"),
        with_amount("1e400"),
        with_amount("-1e400"),
        with_amount("59.980000000000000001"),
        with_amount("0e99999999999999999999"),
        with_amount("1e-99999999999999999999"),
        with_amount("9" * 400),
        with_amount("-" + "9" * 5000),
        with_amount("0059.98"),
        with_data('"\\u0000"'),
        with_data('{"a\\u0000b": 1}'),
        with_data('"\\ud800"'),
        with_data('{"\\udfff": 1}'),
        with_data('["\\udc00\\ud800"]'),
        with_data(DATA.replace("}", ', "store_id": 2}')),
        b'{"type": "purchase_saga", "type": "return_saga", "data": %s}' % DATA.encode(),
        b"[" * DEEP + b"]" * DEEP,
        b'{"a":' * DEEP + b"1" + b"}" * DEEP,
        with_data("[" * DEEP + "]" * DEEP),
        with_data("[" * 40 + "]" * 40),
        b"[" * DEEP,
    ],
    ids=range(34),
)
def test_what_is_no_usable_json(api: Api, content: bytes) -> None:
    api.refused(api.send("POST", SAGAS, content))


@pytest.mark.parametrize("body", [None, True, 0, 1.5, "text", [], [PURCHASE], {}])
def test_a_body_that_is_no_saga(api: Api, body: Any) -> None:
    assert api.refused(api.send("POST", SAGAS, json.dumps(body).encode()))["errors"]


@pytest.mark.parametrize("kind", ["", " ", None, True, [], {}, "nope", "x" * 101, "Purchase_saga"])
def test_an_unknown_type(api: Api, kind: Any) -> None:
    assert api.refused(api.create({**PURCHASE, "type": kind}))["errors"].keys() == {"type"}


@pytest.mark.parametrize("data", [None, True, 7, "text", [], [1], {}, {"amount": "59.98"}])
def test_data_of_another_shape(api: Api, data: Any) -> None:
    assert api.refused(api.create({**PURCHASE, "data": data}))["errors"].keys() == {"data"}


@pytest.mark.parametrize(
    "name", ["status", "epoch", "owner", "id", "run", "due_at", "idempotency_key", "Execute"]
)
def test_fields_that_are_not_the_clients(api: Api, name: str) -> None:
    assert api.refused(api.create({**PURCHASE, name: 1}))["errors"].keys() == {name}
    problem = api.refused(api.create(purchase(**{name: 1})))
    assert problem["errors"]["data"].keys() == {name}


@pytest.mark.parametrize("execute", [None, "maybe", 2, [], {}])
def test_execute_is_yes_or_no(api: Api, execute: Any) -> None:
    assert api.refused(api.create({**PURCHASE, "execute": execute}))["errors"].keys() == {"execute"}


def item(**changes: Any) -> dict[str, Any]:
    return {**PURCHASE["data"]["items"][0], **changes}


def each(name: str, *values: Any) -> list[dict[str, Any]]:
    return [{name: value} for value in values]


@pytest.mark.parametrize(
    "changes",
    [
        *each("amount", 0, -59.98, "-0", "0.00", 59.981, "59.9800001", 1e30),
        *each("amount", True, None, "", "NaN", "Infinity", "1e9999", [], {}),
        *each("amount", 59.97, 60, "1000000000000.00", "59,98", "0x3b"),
        *each("store_id", 0, -1, 1.5, True, None, "", "one", 2**63, 10**29),
        *each("customer_id", 0, [], {}, False),
        *each("items", None, {}, [], "items", 1, [[]], [None], [1], [item()] * 2),
        *({"items": [item(**one)]} for one in each("quantity", 0, -2, 2.5, True, "two", 2**63)),
        *(
            {"items": [item(**one)]}
            for one in each("price", 0, -29.99, 29.999, True, "1e400", 10**12)
        ),
        {"items": [item(product_id=0)]},
        {"items": [item(colour="red")]},
        {"items": [{"product_id": 456}]},
        {"items": [item(quantity=1, price="0.01")] * 501, "amount": "5.01"},
        *each("payment_method", None, "", " ", True, [], {}, "x" * 51),
    ],
    ids=lambda changes: str(changes)[:60],
)
def test_data_that_makes_no_purchase(api: Api, changes: dict[str, Any]) -> None:
    assert api.refused(api.create(purchase(**changes)))["errors"].keys() == {"data"}


@pytest.mark.parametrize(
    "key", ["", " ", "a b", "a\tb", "é", "\x7f", "x" * 256, "clé-1", "a, b", "\u2028"]
)
def test_odd_idempotency_keys(api: Api, key: str) -> None:
    problem = api.refused(api.create(Idempotency_Key=key))
    assert problem["errors"].keys() == {"Idempotency-Key"}


@pytest.mark.parametrize("key", ["!", "~" * 255, "'; DROP TABLE sagas_saga; --".replace(" ", "_")])
def test_keys_at_the_edge(api: Api, key: str) -> None:
    first = api.create(Idempotency_Key=key)
    assert first.status == 201
    assert api.create(Idempotency_Key=key).json["id"] == first.json["id"]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["1", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from([*PURCHASE["data"], "type", "data", "execute"])


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=FIELDS, value=JSON)
def test_any_value_in_any_place_is_answered(api: Api, name: str, value: Any) -> None:
    body = purchase(**{name: value}) if name in PURCHASE["data"] else {**PURCHASE, name: value}
    before = Saga.objects.count()
    answer = api.create(body, Idempotency_Key="any")
    assert answer.status in (201, 400, 422)
    assert Saga.objects.count() - before in ((0, 1) if answer.status == 201 else (0,))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    content=st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
def test_any_bytes_are_answered(api: Api, content: bytes) -> None:
    api.refused(api.send("POST", SAGAS, content))
