"""The return: its data, and each of its calls against the real shop."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import override_settings

from executors.purchase import PurchaseSagaExecutor
from executors.returns import ReturnSagaExecutor
from sagas.domain import strictjson
from sagas.domain.outcome import Verdict
from sagas.domain.state import CallKind
from sagas.services import InvalidData, validated
from shop import Shop
from tests.executors.conftest import attempt, call
from tests.executors.saga import Saga, without
from tests.executors.tcp import answers, http

ITEM: dict[str, Any] = {"product_id": 456, "quantity": 2, "price": 29.99}
ORDER = {"store_id": 1, "customer_id": 123, "items": [ITEM], "amount": 59.98}
DATA: dict[str, Any] = ORDER | {"sale_id": "s"}


def keep(data: Any) -> dict[str, Any]:
    return validated(ReturnSagaExecutor(), strictjson.loads(json.dumps(data).encode()))


def refused(data: Any) -> dict[str, Any]:
    with pytest.raises(InvalidData) as caught:
        validated(ReturnSagaExecutor(), data)
    errors: dict[str, Any] = caught.value.errors
    return errors


def bought(shop: Shop) -> Saga:
    saga = Saga(PurchaseSagaExecutor(), json.dumps(ORDER | {"payment_method": "card"}), shop)
    saga.go()
    return saga


def brought_back(shop: Shop, **changes: Any) -> Saga:
    """A return of what was just bought."""
    sale_id = bought(shop).outputs["create_sale"]["sale_id"]
    return Saga(ReturnSagaExecutor(), json.dumps(DATA | {"sale_id": sale_id} | changes), shop)


# --- The data ---------------------------------------------------------------------------------


def test_money_becomes_decimal_text_and_the_reason_may_be_left_out():
    assert keep(DATA) == {
        "store_id": 1,
        "customer_id": 123,
        "items": [{"product_id": 456, "quantity": 2, "price": "29.99"}],
        "amount": "59.98",
        "sale_id": "s",
        "reason": "",
    }
    assert keep(DATA | {"reason": "too small"})["reason"] == "too small"


@pytest.mark.parametrize("value", [None, "", " ", True, [], {}, "x" * 201, "a\0b"])
def test_wrong_sale_ids_are_refused(value):
    assert set(refused(DATA | {"sale_id": value})) == {"sale_id"}


@pytest.mark.parametrize("value", [None, True, [], {}, "x" * 501])
def test_wrong_reasons_are_refused(value):
    assert set(refused(DATA | {"reason": value})) == {"reason"}


@pytest.mark.parametrize("value", [0, -1, "29.999", True, None, "NaN", "x"])
def test_wrong_amounts_are_refused(value):
    assert "amount" in refused(DATA | {"amount": value})


@pytest.mark.parametrize("name", DATA)
def test_a_missing_field_is_refused(name):
    assert set(refused(without(DATA, name))) == {name}


def test_unknown_fields_and_wrong_sums_are_refused():
    assert set(refused(DATA | {"payment_method": "card"})) == {"payment_method"}
    assert set(refused(DATA | {"amount": "59.97"})) == {"amount"}


# --- The calls --------------------------------------------------------------------------------

OUTPUTS: dict[str, dict[str, Any]] = {
    "validate_return": {"returnable": True, "payment_id": "p"},
    "process_refund": {"refund_id": "f"},
    "restore_inventory": {"restock_id": "k"},
    "update_sale": {"return_id": "t"},
}
LINES = [{"product_id": 456, "quantity": 2}]
PRICED = [LINES[0] | {"price": "29.99"}]
CALLS = [
    (
        "validate_return",
        "action",
        "/returns/validate",
        {"sale_id": "s", "items": PRICED, "amount": "59.98"},
    ),
    (
        "process_refund",
        "action",
        "/refunds",
        {"payment_id": "p", "sale_id": "s", "amount": "59.98"},
    ),
    ("process_refund", "compensation", "/refunds/reverse", {"refund_id": "f"}),
    (
        "restore_inventory",
        "action",
        "/restocks",
        {"store_id": 1, "sale_id": "s", "items": LINES},
    ),
    ("restore_inventory", "compensation", "/restocks/reverse", {"restock_id": "k"}),
    (
        "update_sale",
        "action",
        "/returns",
        {"sale_id": "s", "refund_id": "f", "restock_id": "k", "amount": "59.98"},
    ),
    ("update_sale", "compensation", "/returns/reverse", {"return_id": "t"}),
]


@pytest.mark.parametrize(("step", "kind", "path", "body"), CALLS)
def test_the_calls_are_pure_functions_of_data_and_outputs(step, kind, path, body):
    executor = ReturnSagaExecutor()
    asked = call(step, CallKind(kind), data=keep(DATA), outputs=OUTPUTS)
    first, second = (executor.build(asked) for _ in range(2))
    assert first == second
    assert (first.method, first.path, json.loads(first.body)) == ("POST", path, body)


def test_the_steps_and_compensations_are_the_seed_s():
    assert [(step.name, step.compensation) for step in ReturnSagaExecutor.steps] == [
        ("validate_return", ""),
        ("process_refund", "reverse_refund"),
        ("restore_inventory", "reverse_inventory_restore"),
        ("update_sale", "reverse_sale_update"),
    ]


# --- Against the shop -------------------------------------------------------------------------


def sums(saga: Saga) -> tuple[Any, ...]:
    """What the shop's books come to: pieces taken, money kept, money of returned goods."""
    return (
        saga.shop.state("inventory")["taken"],
        saga.shop.state("payment")["net"],
        saga.shop.state("sales")["returned"],
    )


def test_the_shop_accepts_every_action(shop):
    saga = brought_back(shop)
    assert sums(saga) == (2, "59.98", "0.00")
    saga.go()
    assert sums(saga) == (0, "0.00", "59.98")
    assert set(saga.outputs["update_sale"]) == {"return_id"}


@pytest.mark.parametrize("until", [step.name for step in ReturnSagaExecutor.steps])
@pytest.mark.parametrize("ids", ["known", "in doubt"])
def test_compensations_take_back_what_was_done_whether_or_not_its_ids_are_known(shop, until, ids):
    saga = brought_back(shop)
    saga.go(until)
    if ids == "in doubt":
        saga.outputs.clear()
    saga.turn_back()
    assert sums(saga) == (2, "59.98", "0.00")


def test_a_compensation_before_its_action_is_accepted_and_bars_it(shop):
    saga = brought_back(shop)
    saga.go("validate_return")
    saga.turn_back()
    outcome = saga.act("process_refund")
    assert outcome.error == "payment answered 409: this action was compensated"
    assert saga.outcomes("payment") == [("reverse_refund", "noop"), ("process_refund", "barred")]
    assert sums(saga) == (2, "59.98", "0.00")


def test_the_same_call_again_has_no_second_effect(shop):
    saga = brought_back(shop)
    saga.go()
    for step in ("process_refund", "restore_inventory", "update_sale"):
        before = saga.outputs[step]
        assert saga.act(step).output == before
    assert sums(saga) == (0, "0.00", "59.98")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"sale_id": "unheard of"}, "sales answered 404: there is no sale unheard of"),
        (
            {"items": [ITEM | {"quantity": 3}], "amount": "89.97"},
            "sales answered 409: 59.98 of the sale are left to return",
        ),
    ],
)
def test_a_business_no_is_a_refusal_with_the_shop_s_reason(shop, changes, error):
    outcome = brought_back(shop, **changes).act("validate_return")
    assert (outcome.verdict, outcome.error) == (Verdict.REFUSED, error)


@pytest.mark.parametrize("more", [b"", b',"payment_id":"p"', b',"payment_id":null'])
def test_what_cannot_be_returned_is_a_refusal_also_in_a_2xx(serve, more):
    server = serve(answers(http(body=b'{"returnable":false' + more + b"}")))
    with override_settings(SAGA_PARTICIPANTS={"sales": server.url}):
        outcome = attempt(ReturnSagaExecutor, "validate_return", data=keep(DATA))
    assert outcome.verdict is Verdict.REFUSED
    assert outcome.error == "sales said no: the items cannot be returned"


def test_a_return_whose_check_gave_no_payment_is_not_refunded(shop):
    saga = brought_back(shop)
    with pytest.raises(KeyError, match="payment_id"):
        saga.act("process_refund")
    assert saga.outcomes("payment") == []
