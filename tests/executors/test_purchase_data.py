"""The purchase's data: the seed's is accepted, and wrong data refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from executors.purchase import PurchaseSagaExecutor
from sagas.services import InvalidData, validated
from tests.executors.saga import without
from tests.executors.test_purchase import DATA, ITEM, keep


def test_the_seed_s_body_is_accepted_and_money_becomes_decimal_text():
    assert keep(DATA) == {
        "store_id": 1,
        "customer_id": 123,
        "items": [{"product_id": 456, "quantity": 2, "price": "29.99"}],
        "payment_method": "credit_card",
        "amount": "59.98",
    }


@pytest.mark.parametrize(
    ("quantity", "price", "amount", "kept"),
    [
        (1, "0.01", "0.01", "0.01"),
        (3, 0.1, 0.3, "0.30"),  # 0.1 * 3 is not 0.3 in floating point
        (10, 19.99, 199.9, "199.90"),
        (3, "33.33", "99.99", "99.99"),
        (7, 100, 700, "700.00"),
        (1, "999999999999.99", "999999999999.99", "999999999999.99"),
        (1, 1e2, "100", "100.00"),
    ],
)
def test_amounts_are_exact_decimals(quantity, price, amount, kept):
    items = [{"product_id": 1, "quantity": quantity, "price": price}]
    found = keep(DATA | {"items": items, "amount": amount})
    assert found["amount"] == kept
    assert sum(Decimal(i["price"]) * i["quantity"] for i in found["items"]) == Decimal(kept)


def test_the_amount_is_the_sum_of_all_items():
    items = [ITEM, ITEM | {"product_id": 2, "quantity": 1, "price": "0.02"}]
    assert keep(DATA | {"items": items, "amount": "60"})["amount"] == "60.00"


WRONG_MONEY: list[Any] = [
    *(0, -1, "-0.01", "0.00", 29.999, "29.999", "1e-3", 1e13, "1000000000000", 1e300, "9" * 2000),
    *(True, False, None, "", "abc", "NaN", "Infinity", "-Infinity", [], {}, [1], "1,5", "$1"),
]
WRONG_NUMBER: list[Any] = [
    0,
    -1,
    1.5,
    "x",
    "",
    True,
    False,
    None,
    [],
    {},
    2**63,
    1e400 / 1e400,
    "NaN",
]


def refused(data: Any) -> dict[str, Any]:
    with pytest.raises(InvalidData) as caught:
        validated(PurchaseSagaExecutor(), data)
    errors: dict[str, Any] = caught.value.errors
    return errors


@pytest.mark.parametrize("value", WRONG_MONEY, ids=repr)
def test_wrong_amounts_are_refused(value):
    assert "amount" in refused(DATA | {"amount": value})
    assert "items" in refused(DATA | {"items": [ITEM | {"price": value}]})


@pytest.mark.parametrize("value", WRONG_NUMBER, ids=repr)
def test_wrong_numbers_are_refused(value):
    assert set(refused(DATA | {"store_id": value})) == {"store_id"}
    assert set(refused(DATA | {"customer_id": value})) == {"customer_id"}
    for name in ("product_id", "quantity"):
        assert set(refused(DATA | {"items": [ITEM | {name: value}]})) == {"items"}


@pytest.mark.parametrize("items", [[], None, {}, "x", [1], [None], [[]], [ITEM] * 501])
def test_wrong_lists_of_items_are_refused(items):
    assert set(refused(DATA | {"items": items})) == {"items"}


@pytest.mark.parametrize("value", [None, "", " ", "x" * 51, True, [], {}, "a\0b"])
def test_wrong_payment_methods_are_refused(value):
    assert set(refused(DATA | {"payment_method": value})) == {"payment_method"}


@pytest.mark.parametrize("name", DATA)
def test_a_missing_field_is_refused(name):
    assert set(refused(without(DATA, name))) == {name}


@pytest.mark.parametrize("name", ITEM)
def test_a_missing_field_of_an_item_is_refused(name):
    assert set(refused(DATA | {"items": [without(ITEM, name)]})) == {"items"}


@pytest.mark.parametrize("name", ["discount", "status", "epoch", "x" * 1000])
def test_unknown_fields_are_refused(name):
    assert set(refused(DATA | {name: 1})) == {name[:100]}
    assert set(refused(DATA | {"items": [ITEM | {name: 1}]})) == {"items"}


@pytest.mark.parametrize("amount", ["59.97", "59.99", "5998", "0.01"])
def test_an_amount_that_the_items_do_not_give_is_refused(amount):
    errors = refused(DATA | {"amount": amount})
    assert errors["amount"][0].startswith("The items come to 59.98, not to ")


def test_a_sum_beyond_all_bounds_is_refused():
    items = [ITEM | {"quantity": 2**63 - 1, "price": "999999999999.99"}]
    assert set(refused(DATA | {"items": items})) == {"amount"}


@pytest.mark.parametrize("data", [None, [], "x", 1, True])
def test_data_that_is_no_object_is_refused(data):
    assert refused(data)
