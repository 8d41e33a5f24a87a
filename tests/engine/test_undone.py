"""Transactions that PostgreSQL undoes for others' sake are tried again as a whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection, transaction
from psycopg.errors import DeadlockDetected, DiskFull, SerializationFailure

from sagas import services
from sagas.engine.whole import whole
from sagas.models import Saga, SagaEvent, SagaStep
from tests.acceptance.service import PURCHASE
from tests.api.client import on_servers

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def undone(table: str, error: type[psycopg.Error], times: int) -> Iterator[list[str]]:
    """The first writes to the table fail so; what was tried."""
    tried: list[str] = []

    def fail(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if f'INSERT INTO "{table}"' in sql:
            tried.append(sql)
            if len(tried) <= times:
                raise OperationalError("undone") from error("undone")
        return execute(sql, *rest)

    with connection.execute_wrapper(fail):
        yield tried


@pytest.mark.parametrize("error", [DeadlockDetected, SerializationFailure])
def test_creating_and_commanding_survive(error: type[psycopg.Error]) -> None:
    with undone("sagas_sagaevent", error, 3):
        saga = services.create_saga("purchase_saga", PURCHASE, execute=False, actor="t").saga
    with undone("sagas_sagaevent", error, 3):
        services.execute(saga.id, actor="t")
    assert list(SagaEvent.objects.order_by("seq").values_list("kind", flat=True)) == [
        "saga_created",
        "execute_requested",
    ]
    assert SagaStep.objects.count() == 5


def test_not_for_ever_and_not_after_other_errors() -> None:
    with undone("sagas_sagaevent", DeadlockDetected, 99) as tried, pytest.raises(OperationalError):
        services.create_saga("purchase_saga", PURCHASE, execute=False, actor="t")
    assert len(tried) == 5
    with undone("sagas_sagaevent", DiskFull, 99) as tried, pytest.raises(OperationalError):
        services.create_saga("purchase_saga", PURCHASE, execute=False, actor="t")
    assert len(tried) == 1
    assert Saga.objects.count() == 0


def test_a_part_of_a_transaction_is_not_tried_again() -> None:
    tried = []

    def work() -> None:
        tried.append(1)
        raise OperationalError from DeadlockDetected()

    with pytest.raises(OperationalError), transaction.atomic():
        whole(work)
    assert tried == [1]


@on_servers
def test_a_real_deadlock() -> None:
    saga = services.create_saga("purchase_saga", PURCHASE, execute=True, actor="t").saga
    services.compensate(saga.id, actor="t")
    settings = connection.get_connection_params()
    settings.pop("cursor_factory")
    settings.pop("context")
    held = Event()

    def other() -> None:
        """An operator's transaction, which takes its locks in the other order."""
        with psycopg.connect(**settings) as mine:
            mine.execute("set deadlock_timeout = '20s'")  # it is not the one to be undone
            mine.execute("lock table sagas_sagaevent in share mode")
            held.set()
            until_waited_for()
            mine.execute("update sagas_saga set reason = reason where id = %s", [saga.id])

    def until_waited_for() -> None:
        waits = "not granted and relation = 'sagas_sagaevent'::regclass"
        with psycopg.connect(**settings, autocommit=True) as look:
            while not look.execute(f"select 1 from pg_locks where {waits}").fetchone():
                time.sleep(0.01)

    thread = Thread(target=other)
    thread.start()
    assert held.wait(10)
    services.retry(saga.id, actor="t")
    thread.join(20)
    kinds = SagaEvent.objects.filter(saga=saga).order_by("seq").values_list("kind", flat=True)
    assert list(kinds)[-1] == "retry_requested"
