"""Parts that the data of several saga types share."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rest_framework import serializers

_LARGEST_ID = 2**63 - 1


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields that it does not know: a misspelt one would be lost in silence."""

    def to_internal_value(self, data: Any) -> Any:
        """The validated value. Raises ValidationError."""
        if isinstance(data, dict):
            unknown = sorted(set(data) - set(self.fields))
            if unknown:
                raise serializers.ValidationError(
                    {name[:100]: ["This field is not known."] for name in unknown}
                )
        return super().to_internal_value(data)


class Id(serializers.IntegerField):
    """A positive whole number; JSON's `true` is none."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=1, max_value=_LARGEST_ID, **kwargs)

    def to_internal_value(self, data: Any) -> int:
        """The number. Raises ValidationError."""
        if isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class Money(serializers.DecimalField):
    """An amount above zero with at most two decimals; kept and sent as a decimal string."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=14, decimal_places=2, min_value=Decimal("0.01"), **kwargs)

    def to_internal_value(self, data: Any) -> Decimal:
        """The amount. Raises ValidationError."""
        if isinstance(data, bool):
            self.fail("invalid")
        value = super().to_internal_value(data)
        assert isinstance(value, Decimal)
        return value


class ItemSerializer(StrictSerializer):
    """One line of an order."""

    product_id = Id()
    quantity = Id()
    price = Money(help_text="Price of one piece.")


ORDER = {
    "store_id": 1,
    "customer_id": 123,
    "items": [{"product_id": 456, "quantity": 2, "price": "29.99"}],
    "amount": "59.98",
}
"""A valid order."""


class OrderSerializer(StrictSerializer):
    """Items whose prices add up to the amount."""

    store_id = Id()
    customer_id = Id()
    items = ItemSerializer(many=True, allow_empty=False, max_length=500)  # type: ignore[call-arg]
    amount = Money(help_text="The sum of quantity times price over the items.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Check the sum: an amount that the items do not give would be charged wrongly."""
        total = sum(item["quantity"] * item["price"] for item in attrs["items"])
        if total != attrs["amount"]:
            raise serializers.ValidationError(
                {"amount": [f"The items come to {total}, not to {attrs['amount']}."]}
            )
        return attrs
