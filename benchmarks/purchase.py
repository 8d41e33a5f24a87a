"""The benchmark's saga type, declared as any other: a purchase in five calls to one shop.

Loaded with SAGA_EXECUTORS=benchmarks.purchase; PARTICIPANT_SHOP_URL says where the shop is.
"""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from executors.base import Request, SagaExecutor, SagaView, Step, post


class Item(serializers.Serializer[Any]):
    """What is bought."""

    sku = serializers.CharField(max_length=50)
    qty = serializers.IntegerField(min_value=1)
    unit_price = serializers.IntegerField(min_value=0)


class Address(serializers.Serializer[Any]):
    """Where it is sent."""

    name = serializers.CharField(max_length=200)
    city = serializers.CharField(max_length=200)
    zip = serializers.CharField(max_length=20)


class Order(serializers.Serializer[Any]):
    """An order of about 300 bytes; each call sends all of it."""

    order_id = serializers.CharField(max_length=50)
    customer_id = serializers.CharField(max_length=50)
    currency = serializers.CharField(max_length=3)
    amount = serializers.IntegerField(min_value=0)
    payment_method = serializers.CharField(max_length=50)
    items = Item(many=True)
    ship_to = Address()


class BenchmarkPurchase(SagaExecutor):
    """Five steps, of which the second has a compensation."""

    saga_type = "bench_purchase"
    data = Order
    steps: ClassVar[tuple[Step, ...]] = (
        Step("validate_inventory", "shop"),
        Step("reserve_inventory", "shop", compensation="release_inventory"),
        Step("process_payment", "shop"),
        Step("create_sale", "shop"),
        Step("update_inventory", "shop"),
    )
    example: ClassVar = {
        "order_id": "1",
        "customer_id": "cust-1",
        "currency": "EUR",
        "amount": 4998,
        "payment_method": "tok_visa",
        "items": [{"sku": "SKU-1", "qty": 2, "unit_price": 2499}],
        "ship_to": {"name": "Ada Lovelace", "city": "London", "zip": "SW1Y 4JH"},
    }

    def validate_inventory(self, saga: SagaView) -> Request:
        return post("/shop/validate_inventory", saga.data)

    def reserve_inventory(self, saga: SagaView) -> Request:
        return post("/shop/reserve_inventory", saga.data)

    def release_inventory(self, saga: SagaView) -> Request:
        return post("/shop/release_inventory", saga.data)

    def process_payment(self, saga: SagaView) -> Request:
        return post("/shop/process_payment", saga.data)

    def create_sale(self, saga: SagaView) -> Request:
        return post("/shop/create_sale", saga.data)

    def update_inventory(self, saga: SagaView) -> Request:
        return post("/shop/update_inventory", saga.data)
