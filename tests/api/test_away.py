"""Without Redis the API goes on; without the database it says so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, cast

import pytest
import redis
from django.conf import settings
from django.core.management import call_command
from django.db import close_old_connections, connection
from django.test import override_settings
from pytest_django import DjangoDbBlocker

from sagas import broker
from sagas.models import Saga
from tests.api.client import PURCHASE, SAGAS, Answer, Api, on_servers
from tests.servers import Postgres, start_postgres

NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def no_redis(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    caches = {"default": {**settings.CACHES["default"], "LOCATION": NOWHERE}}
    pool = redis.ConnectionPool.from_url(NOWHERE)
    monkeypatch.setattr(cast(Any, broker.broker).client, "connection_pool", pool)
    with override_settings(CACHES=caches):
        yield


@on_servers
@pytest.mark.django_db
def test_without_redis_everything_answers(api: Api, no_redis: None) -> None:
    saga_id = api.new(execute=True)
    assert api.saga(saga_id)["status"] == "in_progress"
    assert api.get(SAGAS).json["count"] == 1
    answer = api.post(f"{SAGAS}/{saga_id}/compensate", Prefer="wait=1")
    assert (answer.status, answer.json["status"]) == (200, "compensated")
    answer = api.post(f"{SAGAS}/{saga_id}/retry", Prefer="wait=1")
    assert (answer.status, answer.json["status"]) == (202, "in_progress")
    health = api.get("/health")
    assert health.status == 200
    assert health.json == {
        "status": "degraded",
        "database": "ok",
        "cache": "away",
        "broker": "away",
    }


@pytest.fixture
def postgres(django_db_blocker: DjangoDbBlocker) -> Iterator[Postgres]:
    """A database of its own, which this thread's connection uses meanwhile."""
    usual = connection.settings_dict
    with start_postgres() as server, django_db_blocker.unblock():
        connection.close()
        connection.settings_dict = {
            **usual,
            "NAME": server.database,
            "HOST": "127.0.0.1",
            "PORT": str(server.port),
            "USER": "saga",
            "PASSWORD": server.password,
        }
        try:
            call_command("migrate", verbosity=0)
            yield server
        finally:
            connection.close()
            connection.settings_dict = usual


def create(api: Api) -> Answer:
    close_old_connections()
    return api.create({**PURCHASE, "execute": True}, Idempotency_Key="k")


@on_servers
def test_while_the_database_is_away(api: Api, postgres: Postgres) -> None:
    first = api.new()
    postgres.kill()
    for ask in (
        create,
        lambda api: api.get(SAGAS),
        lambda api: api.get(f"{SAGAS}/{first}"),
        lambda api: api.post(f"{SAGAS}/{first}/execute"),
        lambda api: api.get(SAGAS, X_Api_Key=f"saga_{'0' * 12}_{'0' * 64}"),  # may be a good one
    ):
        close_old_connections()  # as Django does when a request begins
        answer = ask(api)
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) > 0
        assert b"127.0.0.1" not in answer.body
    health = api.get("/health")
    assert (health.status, health.json["status"]) == (503, "unavailable")
    assert api.get("/health/live").status == 200

    postgres.start()
    until = time.monotonic() + 5
    while (again := create(api)).status == 503:
        assert time.monotonic() < until
    assert again.status == 201
    assert Saga.objects.count() == 2
    assert api.saga(first)["status"] == "pending"
    while api.get("/health").json["database"] != "ok":  # what was seen is shown for a moment
        assert time.monotonic() < until
