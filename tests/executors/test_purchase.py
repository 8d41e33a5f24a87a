"""The purchase: its data, and each of its calls against the real shop."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import override_settings

from executors.purchase import PurchaseSagaExecutor
from sagas.domain import strictjson
from sagas.domain.outcome import Verdict
from sagas.domain.state import CallKind
from sagas.services import validated
from shop import Shop
from tests.executors.conftest import attempt, call
from tests.executors.saga import Saga
from tests.executors.tcp import answers, http

# As the seed's curl command has it, to the letter.
SEED = """{
      "store_id": 1,
      "customer_id": 123,
      "items": [{"product_id": 456, "quantity": 2, "price": 29.99}],
      "payment_method": "credit_card",
      "amount": 59.98
    }"""

DATA: dict[str, Any] = json.loads(SEED)
ITEM: dict[str, Any] = DATA["items"][0]


def keep(data: Any) -> dict[str, Any]:
    return validated(PurchaseSagaExecutor(), strictjson.loads(json.dumps(data).encode()))


def purchase(shop: Shop, **changes: Any) -> Saga:
    return Saga(PurchaseSagaExecutor(), json.dumps(DATA | changes), shop)


# --- The calls --------------------------------------------------------------------------------

OUTPUTS = {
    "reserve_inventory": {"reservation_id": "r"},
    "process_payment": {"payment_id": "p"},
    "create_sale": {"sale_id": "s"},
}
LINES = [{"product_id": 456, "quantity": 2}]
CALLS = [
    ("validate_inventory", "action", "/inventory/validate", {"store_id": 1, "items": LINES}),
    ("reserve_inventory", "action", "/reservations", {"store_id": 1, "items": LINES}),
    ("reserve_inventory", "compensation", "/reservations/release", {"reservation_id": "r"}),
    (
        "process_payment",
        "action",
        "/payments",
        {"customer_id": 123, "amount": "59.98", "payment_method": "credit_card"},
    ),
    ("process_payment", "compensation", "/payments/refund", {"payment_id": "p"}),
    (
        "create_sale",
        "action",
        "/sales",
        {
            "store_id": 1,
            "customer_id": 123,
            "items": [{"product_id": 456, "quantity": 2, "price": "29.99"}],
            "amount": "59.98",
            "reservation_id": "r",
            "payment_id": "p",
        },
    ),
    ("create_sale", "compensation", "/sales/cancel", {"sale_id": "s"}),
    ("update_inventory", "action", "/reservations/commit", {"reservation_id": "r"}),
]


@pytest.mark.parametrize(("step", "kind", "path", "body"), CALLS)
def test_the_calls_are_pure_functions_of_data_and_outputs(step, kind, path, body):
    executor = PurchaseSagaExecutor()
    asked = call(step, CallKind(kind), data=keep(DATA), outputs=OUTPUTS)
    first, second = (executor.build(asked) for _ in range(2))
    assert first == second
    assert (first.method, first.path, json.loads(first.body)) == ("POST", path, body)


def test_the_steps_and_compensations_are_the_seed_s():
    assert [(step.name, step.compensation) for step in PurchaseSagaExecutor.steps] == [
        ("validate_inventory", ""),
        ("reserve_inventory", "release_inventory"),
        ("process_payment", "refund_payment"),
        ("create_sale", "cancel_sale"),
        ("update_inventory", ""),
    ]


# --- Against the shop -------------------------------------------------------------------------


def test_the_shop_accepts_every_action(shop):
    saga = purchase(shop)
    saga.go()
    assert set(saga.outputs["reserve_inventory"]) == {"reservation_id"}
    assert set(saga.outputs["process_payment"]) == {"payment_id"}
    assert set(saga.outputs["create_sale"]) == {"sale_id"}
    assert saga.shop.state("inventory")["taken"] == 2
    assert saga.shop.state("payment")["net"] == "59.98"
    assert saga.shop.state("sales")["open"] == 1
    assert saga.outcomes("inventory") == [
        ("validate_inventory", "checked"),
        ("reserve_inventory", "applied"),
        ("update_inventory", "applied"),
    ]


def assert_nothing_is_left(saga: Saga) -> None:
    inventory = saga.shop.state("inventory")
    assert (inventory["reserved"], inventory["taken"]) == (0, 0)
    assert saga.shop.state("payment")["net"] == "0.00"
    assert saga.shop.state("sales")["open"] == 0


@pytest.mark.parametrize("until", [step.name for step in PurchaseSagaExecutor.steps])
@pytest.mark.parametrize("ids", ["known", "in doubt"])
def test_compensations_take_back_what_was_done_whether_or_not_its_ids_are_known(shop, until, ids):
    saga = purchase(shop)
    saga.go(until)
    if ids == "in doubt":
        saga.outputs.clear()
    saga.turn_back()
    assert_nothing_is_left(saga)


def test_a_compensation_before_its_action_is_accepted_and_bars_it(shop):
    saga = purchase(shop)
    saga.turn_back()
    for service, step, compensation in (
        ("inventory", "reserve_inventory", "release_inventory"),
        ("payment", "process_payment", "refund_payment"),
    ):
        assert saga.act(step).error.endswith("answered 409: this action was compensated")
        assert saga.outcomes(service) == [(compensation, "noop"), (step, "barred")]
    assert_nothing_is_left(saga)


def test_the_same_call_again_has_no_second_effect(shop):
    saga = purchase(shop)
    saga.go()
    before = dict(saga.outputs)
    assert saga.act("process_payment").verdict is Verdict.SUCCEEDED
    assert saga.outputs == before
    for _ in range(2):
        assert saga.compensate("process_payment").verdict is Verdict.SUCCEEDED
    payment = saga.shop.state("payment")
    assert (payment["taken"], payment["refunded"]) == ("59.98", "59.98")


@pytest.mark.parametrize(
    ("changes", "step", "error"),
    [
        (
            {"payment_method": "declined_card"},
            "process_payment",
            "payment answered 402: the card is declined",
        ),
        (
            {"items": [ITEM | {"product_id": 999}]},
            "validate_inventory",
            "inventory answered 409: 0 of product 999 are left, 2 are asked for",
        ),
        (
            {"items": [ITEM | {"product_id": 10**6}]},
            "validate_inventory",
            "inventory answered 404: there is no product 1000000",
        ),
    ],
)
def test_a_business_no_is_a_refusal_with_the_shop_s_reason(shop, changes, step, error):
    saga = purchase(shop, **changes)
    outcome = saga.act(step)
    assert (outcome.verdict, outcome.error) == (Verdict.REFUSED, error)


def test_goods_that_are_not_available_are_a_refusal_also_in_a_2xx(serve):
    server = serve(answers(http(body=b'{"available":false}')))
    with override_settings(SAGA_PARTICIPANTS={"inventory": server.url}):
        outcome = attempt(PurchaseSagaExecutor, "validate_inventory", data=keep(DATA))
    assert outcome.verdict is Verdict.REFUSED
    assert outcome.error == "inventory said no: the items are not available"
