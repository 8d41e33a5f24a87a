"""Whole transactions that are tried again when PostgreSQL undid them to keep others going."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError, connection

_TRIES = 5
_UNDONE = ("40001", "40P01")
"""PostgreSQL's codes for a serialization failure and a deadlock."""

T = TypeVar("T")


def whole(work: Callable[[], T]) -> T:
    """What `work` returns; it is called again, a few times, while PostgreSQL undoes it.

    It must hold complete transactions. Inside a caller's, only the caller can try again.
    """
    for attempt in range(1, _TRIES):
        try:
            return work()
        except OperationalError as error:
            undone = getattr(error.__cause__, "sqlstate", None) in _UNDONE
            if not undone or connection.in_atomic_block:
                raise
        time.sleep(random.uniform(0, 0.01 * 2**attempt))
    return work()
