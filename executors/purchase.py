"""The purchase: check and reserve the stock, take the money, record the sale, move the stock."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from executors.base import Refusal, Request, SagaExecutor, SagaView, Step, post
from executors.fields import OrderSerializer


class PurchaseData(OrderSerializer):
    """What a purchase needs to know."""

    payment_method = serializers.CharField(max_length=50)


class Availability(serializers.Serializer[Any]):
    """Inventory's answer: it is asked only so that an empty shelf is known early."""

    available = serializers.BooleanField()

    def validate_available(self, value: bool) -> bool:
        """Take a success that says no for what it is. Raises Refusal."""
        if not value:
            raise Refusal("the items are not available")
        return value


class Reservation(serializers.Serializer[Any]):
    """Inventory's answer to a reservation."""

    reservation_id = serializers.CharField(max_length=200)


class Payment(serializers.Serializer[Any]):
    """Payment's answer to a charge."""

    payment_id = serializers.CharField(max_length=200)


class Sale(serializers.Serializer[Any]):
    """Sales' answer to a new sale."""

    sale_id = serializers.CharField(max_length=200)


class PurchaseSagaExecutor(SagaExecutor):
    """A customer buys items from a store."""

    saga_type = "purchase_saga"
    data = PurchaseData
    steps: ClassVar[tuple[Step, ...]] = (
        Step("validate_inventory", "inventory", answer=Availability),
        Step(
            "reserve_inventory",
            "inventory",
            compensation="release_inventory",
            answer=Reservation,
        ),
        Step("process_payment", "payment", compensation="refund_payment", answer=Payment),
        Step("create_sale", "sales", compensation="cancel_sale", answer=Sale),
        # Releasing the reservation puts stock that was already taken out back, and bars a
        # late update: so this step needs no compensation of its own.
        Step("update_inventory", "inventory"),
    )

    def validate_inventory(self, saga: SagaView) -> Request:
        return post("/inventory/validate", _stock(saga))

    def reserve_inventory(self, saga: SagaView) -> Request:
        return post("/reservations", _stock(saga))

    def release_inventory(self, saga: SagaView) -> Request:
        return post("/reservations/release", {"reservation_id": _reservation(saga)})

    def process_payment(self, saga: SagaView) -> Request:
        return post(
            "/payments",
            {
                "customer_id": saga.data["customer_id"],
                "amount": saga.data["amount"],
                "payment_method": saga.data["payment_method"],
            },
        )

    def refund_payment(self, saga: SagaView) -> Request:
        return post("/payments/refund", {"payment_id": _payment(saga)})

    def create_sale(self, saga: SagaView) -> Request:
        return post(
            "/sales",
            {
                "store_id": saga.data["store_id"],
                "customer_id": saga.data["customer_id"],
                "items": saga.data["items"],
                "amount": saga.data["amount"],
                "reservation_id": _reservation(saga),
                "payment_id": _payment(saga),
            },
        )

    def cancel_sale(self, saga: SagaView) -> Request:
        return post("/sales/cancel", {"sale_id": saga.output("create_sale").get("sale_id")})

    def update_inventory(self, saga: SagaView) -> Request:
        return post("/reservations/commit", {"reservation_id": _reservation(saga)})


def _stock(saga: SagaView) -> dict[str, Any]:
    items = [
        {"product_id": item["product_id"], "quantity": item["quantity"]}
        for item in saga.data["items"]
    ]
    return {"store_id": saga.data["store_id"], "items": items}


def _reservation(saga: SagaView) -> str | None:
    """Unknown while the reservation is in doubt; inventory then finds it by `Compensates`."""
    return saga.output("reserve_inventory").get("reservation_id")


def _payment(saga: SagaView) -> str | None:
    return saga.output("process_payment").get("payment_id")
