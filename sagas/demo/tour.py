"""The sagas that the demo runs, and how each should end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from sagas.demo.client import Json


@dataclass(frozen=True, kw_only=True, slots=True)
class Chapter:
    """One saga of the tour, or an operation on an earlier one."""

    title: str
    expected: str
    """The status in which it ends."""

    effects: int
    """How many of its actions take place; all, if it completes."""

    product: int = 456
    quantity: int = 2
    price: str = "29.99"
    payment_method: str = "credit_card"
    returns: int | None = None
    """The chapter whose purchase is brought back."""

    takes_back: int | None = None
    """The chapter whose purchase an operator compensates."""

    fault: Callable[[float], tuple[str, Json]] | None = None
    """The service and the switch that go wrong, given the time-out of a call in seconds."""

    @property
    def amount(self) -> Decimal:
        """The sum of the items."""
        return self.quantity * Decimal(self.price)

    def data(self, sale_id: str | None) -> tuple[str, Json]:
        """The saga's type and data."""
        data: Json = {
            "store_id": 1,
            "customer_id": 123,
            "items": [{"product_id": self.product, "quantity": self.quantity, "price": self.price}],
            "amount": str(self.amount),
        }
        if self.returns is None:
            return "purchase_saga", data | {"payment_method": self.payment_method}
        return "return_saga", data | {"sale_id": sale_id}


def _lost_answer(timeout: float) -> tuple[str, Json]:
    return "inventory", {"step": "reserve_inventory", "fault": "reset_after", "times": 1}


def _late(timeout: float) -> tuple[str, Json]:
    return "payment", {"step": "process_payment", "fault": "late", "seconds": timeout * 1.7}


def _refused(timeout: float) -> tuple[str, Json]:
    return "sales", {"step": "update_sale", "fault": "decline"}


TOUR = (
    Chapter(title="A purchase that completes", expected="completed", effects=4),
    Chapter(
        title="A purchase whose reservation is made but never answered: tried again, it completes",
        expected="completed",
        effects=4,
        product=12,
        quantity=3,
        price="15.00",
        fault=_lost_answer,
    ),
    Chapter(
        title="A purchase whose payment is declined: it is compensated",
        expected="compensated",
        effects=1,
        payment_method="declined_card",
    ),
    Chapter(
        title="A purchase whose payment takes the money but answers too late: compensated, repaid",
        expected="compensated",
        effects=2,
        product=77,
        quantity=1,
        price="120.00",
        fault=_late,
    ),
    Chapter(
        title="A return of one of the two pieces of purchase 1: it completes",
        expected="completed",
        effects=3,
        quantity=1,
        returns=1,
    ),
    Chapter(
        title="A return of purchase 2 that sales refuses at the very end: it is compensated",
        expected="compensated",
        effects=2,
        product=12,
        quantity=3,
        price="15.00",
        returns=2,
        fault=_refused,
    ),
    Chapter(
        title="An operator takes back purchase 2, which had completed",
        expected="compensated",
        effects=4,
        product=12,
        quantity=3,
        price="15.00",
        takes_back=2,
    ),
)
