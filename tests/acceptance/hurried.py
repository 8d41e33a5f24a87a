"""A purchase with little time; SAGA_EXECUTORS loads it."""

from __future__ import annotations

from executors.purchase import PurchaseSagaExecutor


class HurriedPurchase(PurchaseSagaExecutor):
    """It must be done within a second."""

    saga_type = "hurried_purchase"
    deadline = 1
