"""Money: decimal text outside, whole cents inside."""

import re
from decimal import Decimal

# Short enough that Decimal's 28 digits are exact and that sums fit into SQLite's integers.
_AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,2}0{0,8})?")


def cents(value: object) -> int | None:
    """Return the amount in cents, or None if the value is no amount of money."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    # Only text can be long: an int this size is refused before str() would be slow, or raise.
    if isinstance(value, int) and not 0 <= value < 10**12:
        return None
    text = str(value)
    return int(Decimal(text) * 100) if _AMOUNT.fullmatch(text) else None


def text(amount: int) -> str:
    """Return the cents as decimal text, such as 59.98."""
    return str(Decimal(amount).scaleb(-2))
