"""What the three participants do, apart from the rules that they share."""

import json
from typing import Any

import pytest

from shop import Shop
from tests.shop.client import Caller, request

ITEMS = [{"product_id": 7, "quantity": 2}, {"product_id": "8", "quantity": 1, "price": 29.99}]


def sell(caller: Caller, amount: str = "50.00", key: str = "sell") -> str:
    body = {
        "store_id": 1,
        "customer_id": 5,
        "items": ITEMS,
        "amount": amount,
        "reservation_id": "r",
        "payment_id": "p",
    }
    response = caller.call("sales", "/sales", body, key)
    assert response.status == 201
    sale_id: str = response.body["sale_id"]
    return sale_id


def take_back(caller: Caller, sale_id: str, amount: str, key: str) -> Any:
    body = {"sale_id": sale_id, "refund_id": "f", "restock_id": "k", "amount": amount}
    return caller.call("sales", "/returns", body, key)


def validate_return(caller: Caller, sale_id: str, amount: str) -> Any:
    body = {"sale_id": sale_id, "items": ITEMS, "amount": amount}
    return caller.call("sales", "/returns/validate", body, "validate")


def test_validate_inventory_reserves_nothing(caller: Caller) -> None:
    body = {"store_id": 1, "items": ITEMS}
    response = caller.call("inventory", "/inventory/validate", body, "validate")
    assert (response.status, response.body) == (200, {"available": True})
    assert caller.state("inventory") == {"available": {}, "reserved": 0, "taken": 0}
    assert caller.outcomes("inventory") == ["checked"]


@pytest.mark.parametrize("path", ["/inventory/validate", "/reservations"])
@pytest.mark.parametrize(
    ("product", "quantity", "status", "code"),
    [
        (999, 1, 409, "out_of_stock"),
        (1, 1_000_001, 409, "out_of_stock"),
        (0, 1, 404, "unknown_product"),
        (1001, 1, 404, "unknown_product"),
        ("shoe", 1, 404, "unknown_product"),
    ],
)
def test_inventory_refusals(
    caller: Caller, path: str, product: object, quantity: int, status: int, code: str
) -> None:
    body = {"store_id": 1, "items": [{"product_id": product, "quantity": quantity}]}
    response = caller.call("inventory", path, body, "k")
    assert (response.status, response.body["code"]) == (status, code)
    assert caller.outcomes("inventory") == ["refused"]


def test_one_item_out_of_stock_reserves_none(caller: Caller) -> None:
    items = [{"product_id": 1, "quantity": 1}, {"product_id": 999, "quantity": 1}]
    caller.call("inventory", "/reservations", {"store_id": 1, "items": items}, "k")
    assert caller.state("inventory")["reserved"] == 0


def test_a_product_listed_twice_is_counted_twice(caller: Caller) -> None:
    items = [{"product_id": 1, "quantity": 600_000}] * 2
    response = caller.call("inventory", "/reservations", {"store_id": 1, "items": items}, "k")
    assert response.body["code"] == "out_of_stock"


def test_a_reservation_is_taken_and_a_released_one_is_put_back(caller: Caller) -> None:
    reservation_id = caller.reserve(quantity=3).body["reservation_id"]
    assert caller.state("inventory") == {"available": {"1": 999_997}, "reserved": 3, "taken": 0}
    committed = caller.commit(reservation_id)
    assert committed.status == 200
    assert committed.body == {"reservation_id": reservation_id, "committed": True}
    assert caller.state("inventory") == {"available": {"1": 999_997}, "reserved": 0, "taken": 3}
    assert caller.release(reservation_id).body == {"released": True}
    assert caller.state("inventory") == {"available": {"1": 1_000_000}, "reserved": 0, "taken": 0}


def test_a_commit_after_the_release_is_refused(caller: Caller) -> None:
    reservation_id = caller.reserve().body["reservation_id"]
    caller.release()
    late = caller.commit(reservation_id)
    assert (late.status, late.body["code"]) == (409, "reservation_released")
    assert caller.state("inventory") == {"available": {"1": 1_000_000}, "reserved": 0, "taken": 0}


def test_a_second_commit_under_another_key_is_refused(caller: Caller) -> None:
    reservation_id = caller.reserve().body["reservation_id"]
    caller.commit(reservation_id)
    assert caller.commit(reservation_id, key="other").status == 409
    assert caller.state("inventory")["taken"] == 1


def test_a_commit_of_an_unknown_reservation(caller: Caller) -> None:
    assert caller.commit("nothing").status == 404


def test_a_restock_and_its_reversal(caller: Caller) -> None:
    body = {"store_id": 1, "sale_id": "s", "items": ITEMS}
    assert caller.call("inventory", "/restocks", body, "restock").status == 201
    state = caller.state("inventory")
    assert (state["available"], state["taken"]) == ({"7": 1_000_002, "8": 1_000_001}, -3)
    reversal = caller.call(
        "inventory", "/restocks/reverse", {"restock_id": None}, "reverse", compensates="restock"
    )
    assert reversal.body == {"reversed": True}
    state = caller.state("inventory")
    assert (state["available"], state["taken"]) == ({"7": 1_000_000, "8": 1_000_000}, 0)


def test_a_declined_card(caller: Caller) -> None:
    body = {"customer_id": 5, "amount": "1.00", "payment_method": "declined_card"}
    response = caller.call("payment", "/payments", body, "pay")
    assert (response.status, response.body["code"]) == (402, "declined")


def test_refunds_up_to_what_was_paid(caller: Caller) -> None:
    payment_id = caller.pay(amount="50.00").body["payment_id"]
    assert caller.refund(payment_id, "30.00", "first").status == 201
    over = caller.refund(payment_id, "20.01", "second")
    assert (over.status, over.body["code"]) == (409, "over_refund")
    assert caller.refund(payment_id, "20.00", "second").status == 201
    assert caller.state("payment") == {"taken": "50.00", "refunded": "50.00", "net": "0.00"}


def test_a_reversed_refund_may_be_made_again(caller: Caller) -> None:
    payment_id = caller.pay(amount="50.00").body["payment_id"]
    caller.refund(payment_id, "50.00")
    assert caller.unrefund().body == {"reversed": True}
    assert caller.state("payment")["net"] == "50.00"
    assert caller.refund(payment_id, "50.00", "again").status == 201


def test_a_refund_of_an_unknown_payment(caller: Caller) -> None:
    assert caller.refund("nothing", "1.00").status == 404


def test_a_voided_payment_nets_to_zero_whatever_its_refunds_do(caller: Caller) -> None:
    payment_id = caller.pay(amount="50.00").body["payment_id"]
    caller.refund(payment_id, "20.00")
    caller.repay()
    assert caller.state("payment")["net"] == "0.00"
    assert caller.refund(payment_id, "0.01", "more").body["code"] == "over_refund"
    assert caller.unrefund().body == {"reversed": True}
    assert caller.state("payment")["net"] == "0.00"
    amounts = [(entry["outcome"], entry["amount"]) for entry in caller.ledger("payment")]
    assert amounts == [
        ("applied", "50.00"),
        ("applied", "20.00"),
        ("applied", "30.00"),
        ("refused", "0.01"),
        ("applied", "0.00"),
    ]


@pytest.mark.parametrize(
    ("amount", "taken"), [("59.98", "59.98"), (59.98, "59.98"), (60, "60.00"), ("0.1", "0.10")]
)
def test_amounts_are_decimals(caller: Caller, amount: object, taken: str) -> None:
    assert caller.pay(amount=amount).status == 201
    assert caller.state("payment")["taken"] == taken


@pytest.mark.parametrize(
    "amount",
    [
        *["0", "-1.00", "1.001", "1e3", "", " 1", "NaN", "Infinity", "1_0", "٣", "1" * 5000],
        *[True, None, [], 10**400, 0.1 + 0.2, 1e300],
    ],
    ids=lambda amount: str(amount)[:20] or "empty",
)
def test_what_is_no_amount_is_refused(caller: Caller, amount: object) -> None:
    response = caller.pay(amount=amount)
    assert (response.status, response.body["code"]) == (400, "malformed_body")
    assert caller.outcomes("payment") == ["refused"]


def test_an_exponent_beyond_all_measure_is_refused(shop: Shop) -> None:
    for number in ("1e400", "1e999999999999999999999", "9" * 5000, "NaN", "Infinity"):
        content = b'{"customer_id": 5, "payment_method": "card", "amount": %s}' % number.encode()
        response = request(
            shop.urls["payment"], "POST", "/payments", content, {"Idempotency-Key": "k"}
        )
        assert response.status == 400, number


def test_a_sale_and_its_cancellation(caller: Caller) -> None:
    sell(caller)
    assert caller.state("sales") == {"open": 1, "cancelled": 0, "returned": "0.00"}
    cancelled = caller.call("sales", "/sales/cancel", {"sale_id": None}, "cancel", "sell")
    assert cancelled.body == {"cancelled": True}
    assert caller.state("sales") == {"open": 0, "cancelled": 1, "returned": "0.00"}


def test_a_sale_is_returnable_up_to_its_amount(caller: Caller) -> None:
    sale_id = sell(caller, "50.00")
    response = validate_return(caller, sale_id, "50.00")
    assert (response.status, response.body) == (200, {"returnable": True, "payment_id": "p"})
    assert validate_return(caller, sale_id, "50.01").body["code"] == "not_returnable"
    assert take_back(caller, sale_id, "20.00", "first").status == 201
    assert validate_return(caller, sale_id, "30.01").body["code"] == "not_returnable"
    assert take_back(caller, sale_id, "30.01", "second").body["code"] == "not_returnable"
    assert take_back(caller, sale_id, "30.00", "second").status == 201
    assert validate_return(caller, sale_id, "0.01").body["code"] == "not_returnable"
    assert caller.state("sales")["returned"] == "50.00"


def test_a_reversed_return_may_be_made_again(caller: Caller) -> None:
    sale_id = sell(caller, "50.00")
    take_back(caller, sale_id, "50.00", "return")
    reversal = caller.call("sales", "/returns/reverse", {"return_id": None}, "reverse", "return")
    assert reversal.body == {"reversed": True}
    assert caller.state("sales")["returned"] == "0.00"
    assert validate_return(caller, sale_id, "50.00").status == 200


def test_a_cancelled_sale_is_not_returnable(caller: Caller) -> None:
    sale_id = sell(caller)
    caller.call("sales", "/sales/cancel", {"sale_id": sale_id}, "cancel", "sell")
    response = validate_return(caller, sale_id, "1.00")
    assert (response.status, response.body["code"]) == (409, "not_returnable")


def test_an_unknown_sale_is_not_returnable(caller: Caller) -> None:
    assert validate_return(caller, "nothing", "1.00").status == 404
    assert take_back(caller, "nothing", "1.00", "return").status == 404


@pytest.mark.parametrize(
    "change",
    [
        {"store_id": None},
        {"store_id": ""},
        {"store_id": True},
        {"store_id": 10**30},
        {"store_id": "x" * 201},
        {"store_id": "\ud800"},
        {"items": []},
        {"items": {}},
        {"items": [1]},
        {"items": [{"product_id": 1, "quantity": 0}]},
        {"items": [{"product_id": 1, "quantity": True}]},
        {"items": [{"product_id": 1, "quantity": 10**30}]},
        {"items": [{"quantity": 1}]},
    ],
    ids=lambda change: json.dumps(change)[:40],
)
def test_malformed_fields_are_refused(caller: Caller, change: dict[str, object]) -> None:
    body = {"store_id": 1, "items": ITEMS, **change}
    response = caller.call("inventory", "/reservations", body, "k")
    assert (response.status, response.body["code"]) == (400, "malformed_body")
    assert caller.outcomes("inventory") == ["refused"]
