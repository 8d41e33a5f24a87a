"""What becomes of a statement that takes longer than a request waits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection

from sagaproject.postgresql import patience
from tests.api.client import on_servers

pytestmark = [pytest.mark.django_db, on_servers]

_MARK = "a statement for nobody"


def _running() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE %s"
            " AND pid <> pg_backend_pid()",
            [f"%{_MARK}%"],
        )
        return int(cursor.fetchone()[0])


@pytest.fixture
def other() -> Iterator[Any]:
    """Another connection to the database."""
    made = connection.copy()
    yield made
    made.close()


def test_it_is_given_up_with_its_connection_and_on_the_server_too(other: Any) -> None:
    began = time.monotonic()
    with (
        patience.at_most(0.3),
        pytest.raises(OperationalError, match="no answer within"),
        other.cursor() as cursor,
    ):
        cursor.execute(f"SELECT pg_sleep(20) -- {_MARK}")
    assert time.monotonic() - began < 10
    assert other.connection.closed
    until = time.monotonic() + 5
    while _running() and time.monotonic() < until:
        time.sleep(0.05)
    assert _running() == 0


def test_the_shorter_patience_counts() -> None:
    with patience.at_most(2), patience.at_most(8):
        assert patience.seconds() == 2
    with patience.at_most(8), patience.at_most(2):
        assert patience.seconds() == 2
    assert patience.seconds() is None
