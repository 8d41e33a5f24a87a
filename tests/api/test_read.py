"""GET of one saga and of its history: complete, from the cache, and never stale."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.cache import cache
from pytest_django import DjangoAssertNumQueries

from sagas import services
from sagas.models import Saga
from tests.api.client import PURCHASE, SAGAS, Api, unknown
from tests.engine.stage import asked

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    cache.clear()


def test_a_saga_with_all_it_has(api: Api) -> None:
    saga_id = api.new(execute=True)
    saga = api.saga(saga_id)
    assert saga["id"] == saga_id
    assert saga["data"]["amount"] == "59.98"
    assert saga["current_step"] == "validate_inventory"
    assert saga["allowed_operations"] == ["compensate"]
    assert saga["error"] is None
    assert [step["position"] for step in saga["steps"]] == [1, 2, 3, 4, 5]
    assert {step["attempts"] for step in saga["steps"]} == {0}
    secrets = {"epoch", "owner", "idempotency_key", "request_digest"}
    assert not secrets & set(saga)


def test_the_second_read_comes_from_the_cache(
    api: Api, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    saga_id = api.new()
    with django_assert_num_queries(2):
        first = api.saga(saga_id)
    with django_assert_num_queries(1), asked() as statements:
        assert api.saga(saga_id) == first
    assert statements[0].startswith('SELECT "sagas_saga"."seq"')


def test_no_read_is_older_than_the_last_commit(api: Api) -> None:
    saga_id = api.new()
    for operation, status in (("execute", "in_progress"), ("compensate", "compensated")):
        before = api.saga(saga_id)
        getattr(services, operation)(UUID(saga_id), actor="test")
        after = api.saga(saga_id)
        assert (after["status"], after == before) == (status, False)


def test_without_the_cache_the_database_answers(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: Any, **kwargs: Any) -> None:
        raise ConnectionError("the cache is away")

    saga_id = api.new()
    monkeypatch.setattr(cache, "get", away)
    monkeypatch.setattr(cache, "set", away)
    assert api.saga(saga_id)["status"] == "pending"


def test_no_read_mixes_two_commits(
    api: Api, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """The saga and its steps come with one statement, which sees one state of the database."""
    saga_id = api.new()
    with django_assert_num_queries(1):
        saga = services.get_saga(UUID(saga_id))
        assert len(saga.steps.all()) == 5
        assert {step.saga for step in saga.steps.all()} == {saga}


def test_the_history(api: Api, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    saga_id = api.new()
    api.post(f"{SAGAS}/{saga_id}/execute", {"reason": "on the phone"})
    with django_assert_num_queries(1):
        events = api.get(f"{SAGAS}/{saga_id}/events").json
    told = [(event["seq"], event["kind"], event["actor"], event["reason"]) for event in events]
    assert told == [
        (1, "saga_created", "api", ""),
        (2, "execute_requested", "api", "on the phone"),
    ]


@pytest.mark.parametrize("tail", ["", "/events"])
def test_an_unknown_saga(api: Api, tail: str) -> None:
    assert api.refused(api.get(unknown() + tail), 404)["detail"] == "There is no such saga."


@pytest.mark.parametrize("tail", ["", "/events", "/execute"])
@pytest.mark.parametrize(
    "saga_id",
    ["1", "0", "-1", "null", "%00", "..%2F..%2Fadmin", "' OR 1=1", "é", "%FF", "a" * 5000],
)
def test_a_malformed_id(api: Api, saga_id: str, tail: str) -> None:
    answer = api.send("POST" if tail == "/execute" else "GET", f"{SAGAS}/{saga_id}{tail}")
    api.refused(answer, 400 if saga_id == "%00" else 404)


def test_an_id_without_hyphens_is_no_address(api: Api) -> None:
    api.refused(api.get(f"{SAGAS}/{uuid4().hex}"), 404)


@pytest.fixture
def failed(api: Api) -> str:
    saga_id = api.new(execute=True)
    Saga.objects.filter(pk=saga_id).update(status="failed", due_at=None, reason="a person must")
    return saga_id


def test_a_failed_saga_is_a_state_and_no_error(api: Api, failed: str) -> None:
    answer = api.get(f"{SAGAS}/{failed}")
    assert answer.status == 200
    assert answer.json["error"] == "a person must"
    assert answer.json["allowed_operations"] == ["compensate", "retry"]


def test_head_answers_as_get_without_a_body(api: Api) -> None:
    saga_id = api.new()
    for path in (SAGAS, f"{SAGAS}/{saga_id}", f"{SAGAS}/{saga_id}/events"):
        answer = api.send("HEAD", path)
        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["content-type"] == "application/json"


def test_reading_changes_nothing(api: Api) -> None:
    saga_id = api.new()
    for tail in ("/execute", "/compensate", "/retry"):
        for method in ("GET", "HEAD", "OPTIONS"):
            answer = api.client.generic(method, f"{SAGAS}/{saga_id}{tail}")
            assert answer.status_code == (200 if method == "OPTIONS" else 405)
    assert api.saga(saga_id)["status"] == "pending"
    assert PURCHASE["type"] == api.saga(saga_id)["type"]
