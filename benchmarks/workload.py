"""The order that every saga of the benchmark buys, and the calls that it takes."""

from __future__ import annotations

from typing import Any

STEPS = (
    "validate_inventory",
    "reserve_inventory",
    "process_payment",
    "create_sale",
    "update_inventory",
)
PAYMENT = "process_payment"
RESERVE, RELEASE = "reserve_inventory", "release_inventory"
COMPLETED, COMPENSATED = "completed", "compensated"


def order(number: int) -> dict[str, Any]:
    """About 300 bytes of JSON, the body of each call."""
    return {
        "order_id": str(number),
        "customer_id": f"cust-{number:08}",
        "currency": "EUR",
        "amount": 4998,
        "payment_method": "tok_visa_4242_0123456789",
        "items": [
            {"sku": "SKU-000-1001", "qty": 2, "unit_price": 1999},
            {"sku": "SKU-000-2002", "qty": 1, "unit_price": 1000},
        ],
        "ship_to": {"name": "Ada Lovelace", "city": "London", "zip": "SW1Y 4JH"},
    }


def is_declined(number: int, decline_every: int) -> bool:
    """Whether the shop refuses the order's payment; it never does with 0."""
    return decline_every > 0 and number % decline_every == 0


def effects(number: int, decline_every: int) -> list[str]:
    """What an order must have done at the shop when its saga has ended, in order."""
    if not is_declined(number, decline_every):
        return list(STEPS)
    return [*STEPS[: STEPS.index(PAYMENT)], RELEASE]
