"""The return: check it, give the money back, take the goods back, note it on the sale."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from executors.base import Refusal, Request, SagaExecutor, SagaView, Step, post
from executors.fields import ORDER, OrderSerializer, Text


class ReturnData(OrderSerializer):
    """What a return needs to know."""

    sale_id = Text(max_length=200)
    reason = Text(max_length=500, required=False, default="", allow_blank=True)


class Returnable(serializers.Serializer[Any]):
    """Sales' answer: the return is allowed, and this is what was paid with."""

    returnable = serializers.BooleanField()
    payment_id = serializers.CharField(max_length=200)

    def validate_returnable(self, value: bool) -> bool:
        """Take a success that says no for what it is. Raises Refusal."""
        if not value:
            raise Refusal("the items cannot be returned")
        return value


class Refund(serializers.Serializer[Any]):
    """Payment's answer to a refund."""

    refund_id = serializers.CharField(max_length=200)


class Restock(serializers.Serializer[Any]):
    """Inventory's answer to goods that come back."""

    restock_id = serializers.CharField(max_length=200)


class ReturnNote(serializers.Serializer[Any]):
    """Sales' answer to a return that is noted."""

    return_id = serializers.CharField(max_length=200)


class ReturnSagaExecutor(SagaExecutor):
    """A customer brings items of a sale back."""

    saga_type = "return_saga"
    data = ReturnData
    steps = (
        Step("validate_return", "sales", answer=Returnable),
        Step("process_refund", "payment", compensation="reverse_refund", answer=Refund),
        Step(
            "restore_inventory",
            "inventory",
            compensation="reverse_inventory_restore",
            answer=Restock,
        ),
        Step("update_sale", "sales", compensation="reverse_sale_update", answer=ReturnNote),
    )

    example: ClassVar = ORDER | {"sale_id": "sale-example", "reason": "wrong size"}

    def validate_return(self, saga: SagaView) -> Request:
        return post(
            "/returns/validate",
            {
                "sale_id": saga.data["sale_id"],
                "items": saga.data["items"],
                "amount": saga.data["amount"],
            },
        )

    def process_refund(self, saga: SagaView) -> Request:
        return post(
            "/refunds",
            {
                "payment_id": saga.output("validate_return")["payment_id"],
                "sale_id": saga.data["sale_id"],
                "amount": saga.data["amount"],
            },
        )

    def reverse_refund(self, saga: SagaView) -> Request:
        return post("/refunds/reverse", {"refund_id": _refund(saga)})

    def restore_inventory(self, saga: SagaView) -> Request:
        items = [
            {"product_id": item["product_id"], "quantity": item["quantity"]}
            for item in saga.data["items"]
        ]
        return post(
            "/restocks",
            {
                "store_id": saga.data["store_id"],
                "sale_id": saga.data["sale_id"],
                "items": items,
            },
        )

    def reverse_inventory_restore(self, saga: SagaView) -> Request:
        return post("/restocks/reverse", {"restock_id": _restock(saga)})

    def update_sale(self, saga: SagaView) -> Request:
        return post(
            "/returns",
            {
                "sale_id": saga.data["sale_id"],
                "refund_id": _refund(saga),
                "restock_id": _restock(saga),
                "amount": saga.data["amount"],
            },
        )

    def reverse_sale_update(self, saga: SagaView) -> Request:
        return post("/returns/reverse", {"return_id": saga.output("update_sale").get("return_id")})


def _refund(saga: SagaView) -> str | None:
    """Unknown while the refund is in doubt; payment then finds it by `Compensates`."""
    return saga.output("process_refund").get("refund_id")


def _restock(saga: SagaView) -> str | None:
    return saga.output("restore_inventory").get("restock_id")
