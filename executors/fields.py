"""Parts that the data of several saga types share."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from rest_framework import serializers

_LARGEST_ID = 2**63 - 1
_MANY = 20
"""Unknown fields that an answer names; a body can have a hundred thousand of them."""

# Python reads more as numbers than people do: underscores, other scripts' digits, white space.
_WHOLE = re.compile(r"-?[0-9]{1,30}")
_DECIMAL = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?")


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields that it does not know: a misspelt one would be lost in silence."""

    def to_internal_value(self, data: Any) -> Any:
        """The validated value. Raises ValidationError."""
        if isinstance(data, dict):
            unknown = sorted(set(data) - set(self.fields))
            if unknown:
                raise serializers.ValidationError(
                    {name[:100]: ["This field is not known."] for name in unknown[:_MANY]}
                )
        return super().to_internal_value(data)


class Text(serializers.CharField):
    """Text, kept as it was sent; a number is none, and neither is nothing but white space."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        """The text. Raises ValidationError."""
        if not isinstance(data, str):
            self.fail("invalid")
        if not (self.allow_blank or data.strip()):
            self.fail("blank")
        return super().to_internal_value(data)


class Flag(serializers.BooleanField):
    """JSON's `true` or `false`, and no words or numbers for them."""

    def to_internal_value(self, data: Any) -> bool:
        """Which. Raises ValidationError."""
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Whole(serializers.IntegerField):
    """A whole number, or its decimal digits as text; JSON's `true` is none."""

    def to_internal_value(self, data: Any) -> int:
        """The number. Raises ValidationError."""
        if isinstance(data, bool) or (isinstance(data, str) and not _WHOLE.fullmatch(data)):
            self.fail("invalid")
        return super().to_internal_value(data)


class Id(Whole):
    """A positive whole number."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=1, max_value=_LARGEST_ID, **kwargs)


class Money(serializers.DecimalField):
    """An amount above zero with at most two decimals; kept and sent as a decimal string."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=14, decimal_places=2, min_value=Decimal("0.01"), **kwargs)

    def to_internal_value(self, data: Any) -> Decimal:
        """The amount. Raises ValidationError."""
        if isinstance(data, bool) or (isinstance(data, str) and not _DECIMAL.fullmatch(data)):
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
