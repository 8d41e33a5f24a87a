"""How many statements a request costs: no more with more steps, events or sagas."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sagas import runtime
from sagas.api import health
from sagas.models import Saga
from tests.api.client import PURCHASE, SAGAS, Api, on_servers
from tests.engine.stage import asked

pytestmark = pytest.mark.django_db

# The saga, its steps, its events; PostgreSQL gets them as one statement.
CREATION = 1 if connection.vendor == "postgresql" else 3
OPERATION = 1 if connection.vendor == "postgresql" else 2  # the saga and its event


@contextmanager
def reads(count: int, writes: int = 0) -> Iterator[None]:
    with asked() as statements:
        yield
    words = [statement.split()[0] for statement in statements]
    assert words.count("SELECT") == count, statements
    changes = sum(words.count(word) for word in ("INSERT", "UPDATE", "WITH"))
    assert changes == writes, statements


def test_creating(api: Api) -> None:
    for execute in (False, True):
        with reads(2, CREATION):  # the clock; the answer
            api.create({**PURCHASE, "execute": execute})
        with reads(2, CREATION):  # the clock with the key; the answer
            api.create({**PURCHASE, "execute": execute}, Idempotency_Key=f"k{execute}")
        with reads(2):
            api.create({**PURCHASE, "execute": execute}, Idempotency_Key=f"k{execute}")


def test_creating_and_waiting(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def listening(saga_id: UUID) -> Iterator[Callable[[float], None]]:
        def hear(seconds: float) -> None:
            Saga.objects.filter(pk=saga_id).update(status="failed", due_at=None)

        yield hear

    monkeypatch.setattr(runtime.completion(), "listening", listening)
    # The clock with the key; the answer.
    with reads(2, CREATION + 1):
        answer = api.create({**PURCHASE, "execute": True}, Idempotency_Key="k", Prefer="wait=9")
    assert (answer.status, answer.json["status"]) == (201, "failed")


def test_reading(api: Api) -> None:
    saga_id = api.new(execute=True)
    cache.clear()
    with reads(2):
        api.get(f"{SAGAS}/{saga_id}")
    with reads(1):
        api.get(f"{SAGAS}/{saga_id}")
    with reads(1):
        api.get(f"{SAGAS}/{saga_id}/events")


def test_operating(api: Api) -> None:
    saga_id = api.new()
    # The saga and its steps, which PostgreSQL gives at once; the answer.
    with reads(2 if connection.vendor == "postgresql" else 3, OPERATION):
        assert api.post(f"{SAGAS}/{saga_id}/execute").status == 202


@on_servers
def test_health_checks_of_one_moment(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "SHARED", 60.0)
    with reads(0), CaptureQueriesContext(connection) as captured:
        for path in ("/health", "/health/ready", "/health", "/health/live"):
            assert api.get(path).status == 200
    assert len(captured) == 1
    monkeypatch.setattr(health, "SHARED", -1.0)  # the moment is over
    with CaptureQueriesContext(connection) as captured:
        api.get("/health")
    assert len(captured) == 1
