"""The JSON body of a call, read field by field."""

import json
from decimal import Decimal
from typing import Any, NoReturn, TypeGuard

from shop import money
from shop.answer import Refused

LIMIT = 1024 * 1024
_LONGEST_REFERENCE = 200
_MOST_PIECES = 10**9


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


class Body:
    """The fields of a call; a getter refuses the call if its field is missing or wrong."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields

    @classmethod
    def parse(cls, raw: bytes | None) -> "Body":
        """Return the body in these bytes, where None stands for more bytes than the limit."""
        if raw is None:
            raise Refused(413, "body_too_large", f"the body is over {LIMIT} bytes")
        try:
            fields = json.loads(raw, parse_float=Decimal, parse_constant=_no_constant)
        except (ValueError, ArithmeticError, RecursionError):
            raise Refused(400, "malformed_json", "the body is not JSON") from None
        if not isinstance(fields, dict):
            raise Refused(400, "malformed_json", "the body is not a JSON object")
        return cls(fields)

    def reference(self, name: str) -> str:
        """Return the id in this field as text; whole numbers are tolerated."""
        value = self.fields.get(name)
        reference = str(value) if _is_small_int(value) else value
        if not isinstance(reference, str) or not 0 < len(reference) <= _LONGEST_REFERENCE:
            raise _wrong(name, "an id")
        try:
            reference.encode()
        except UnicodeEncodeError:  # a lone surrogate is valid JSON, but no text to store
            raise _wrong(name, "an id") from None
        return reference

    def optional_reference(self, name: str) -> str | None:
        """Return the id in this field, or None if it is null or missing."""
        return None if self.fields.get(name) is None else self.reference(name)

    def cents(self, name: str) -> int:
        """Return the positive amount of money in this field."""
        amount = money.cents(self.fields.get(name))
        if not amount:
            raise _wrong(name, "a positive amount with at most two decimals")
        return amount

    def pieces(self) -> dict[str, int]:
        """Return how many pieces of each product the field `items` lists."""
        items = self.fields.get("items")
        if not isinstance(items, list) or not items:
            raise _wrong("items", "a list with at least one item")
        pieces: dict[str, int] = {}
        for item in items:
            if not isinstance(item, dict):
                raise _wrong("items", "a list of objects")
            product = Body(item).reference("product_id")
            quantity = item.get("quantity")
            if not _is_small_int(quantity) or not 0 < quantity <= _MOST_PIECES:
                raise _wrong("quantity", "a positive whole number")
            pieces[product] = pieces.get(product, 0) + quantity
        return pieces


def _is_small_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _wrong(name: str, expected: str) -> Refused:
    return Refused(400, "malformed_body", f"{name} must be {expected}")
