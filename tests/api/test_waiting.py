"""Prefer: wait=N, with a worker and the shop: the seed's synchronous flow."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from dramatiq import Worker
from pytest_django import DjangoAssertNumQueries

from sagas import runtime, services
from sagas.engine.engine import Engine
from sagas.engine.store import Loaded
from sagas.models import Saga
from sagas.services import waiting
from tests.api.client import PURCHASE, SAGAS, Api
from tests.engine.stage import asked

Fault = Callable[..., None]


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A waiter does not look for itself: only an announcement wakes it, or the end of its time."""
    monkeypatch.setattr(waiting, "_LOOK_EVERY", 60.0)
    started = time.monotonic()
    yield
    assert time.monotonic() - started < 25


def execute(api: Api, saga_id: str, wait: str) -> Any:
    return api.post(f"{SAGAS}/{saga_id}/execute", Prefer=wait)


def test_the_finished_saga_comes_as_soon_as_it_ends(
    api: Api, worker: Worker, silent: None, fault: Fault
) -> None:
    fault("payment", step="process_payment", fault="delay", seconds=0.5)
    answer = execute(api, api.new(), "wait=30")
    assert answer.status == 200
    assert answer.headers["preference-applied"] == "wait=30"
    assert answer.json["status"] == "completed"
    assert answer.json["allowed_operations"] == ["compensate"]
    steps = answer.json["steps"]
    assert {(step["status"], step["attempts"]) for step in steps} == {("completed", 1)}
    assert steps[2]["output"].keys() == {"payment_id"}
    answer = api.post(f"{SAGAS}/{answer.json['id']}/compensate", Prefer="wait=30")
    assert (answer.status, answer.json["status"]) == (200, "compensated")


def test_a_compensated_saga_is_an_end_too(
    api: Api, worker: Worker, silent: None, fault: Fault
) -> None:
    fault("payment", step="process_payment", fault="decline")
    answer = execute(api, api.new(), "wait=30")
    assert (answer.status, answer.json["status"]) == (200, "compensated")
    assert "payment" in answer.json["error"]
    assert [step["status"] for step in answer.json["steps"]][:3] == [
        "completed",
        "compensated",
        "failed",
    ]


def test_a_failed_saga_answers_200(api: Api, worker: Worker, silent: None, fault: Fault) -> None:
    fault("payment", step="process_payment", fault="decline")
    fault("inventory", step="release_inventory", fault="decline", times=1)
    answer = execute(api, api.new(), "wait=30")
    assert (answer.status, answer.json["status"]) == (200, "failed")
    assert answer.json["reason"]
    assert answer.json["allowed_operations"] == ["compensate", "retry"]
    assert api.saga(answer.json["id"]) == answer.json
    again = api.post(f"{SAGAS}/{answer.json['id']}/retry", Prefer="wait=30")
    assert (again.status, again.json["status"]) == (200, "compensated")


def test_create_and_execute_in_one_request(api: Api, worker: Worker, silent: None) -> None:
    answer = api.create({**PURCHASE, "execute": True}, Prefer="wait=30")
    assert (answer.status, answer.json["status"]) == (201, "completed")


def test_when_time_is_up_the_saga_is_shown_as_it_is(api: Api, worker: Worker, fault: Fault) -> None:
    fault("payment", step="process_payment", fault="delay", seconds=3, times=1)
    started = time.monotonic()
    answer = execute(api, api.new(), "wait=1")
    assert 1 <= time.monotonic() - started < 2.5
    assert answer.status == 202
    assert answer.json["status"] == "in_progress"
    assert answer.json["current_step"] == "process_payment"


@pytest.mark.django_db
def test_waiting_does_not_poll_hot(
    api: Api, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    saga_id = api.new()
    with django_assert_max_num_queries(16), asked() as statements:
        answer = execute(api, saga_id, "wait=3")
    texts = [each.lstrip() for each in statements]
    looks = [t for t in texts if t.startswith("SELECT json_build_array") or " JOIN " in t]
    assert answer.status == 202
    assert 2 <= len(looks) <= 4


@pytest.mark.django_db
def test_the_time_that_creating_and_driving_took_is_part_of_the_wait(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = Engine.create

    def slow(*args: Any, **kwargs: Any) -> Loaded:
        time.sleep(0.7)
        return create(*args, **kwargs)

    monkeypatch.setattr(Engine, "create", slow)
    started = time.monotonic()
    answer = api.create({**PURCHASE, "execute": True}, Prefer="wait=1")
    assert 1 <= time.monotonic() - started < 1.6
    assert answer.headers["preference-applied"] == "wait=1"
    assert answer.json["status"] == "in_progress"


@pytest.mark.django_db
def test_a_saga_whose_end_nobody_could_wait_for_is_shown_as_one_commit_left_it(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = Engine.create

    def overtaken(self: Engine, saga: Saga, *args: Any, **kwargs: Any) -> Loaded:
        created = create(self, saga, *args, **kwargs)
        Saga.objects.filter(pk=saga.id).update(status="failed", due_at=None)
        saga.steps.update(status="failed")
        return created

    monkeypatch.setattr(Engine, "create", overtaken)
    monkeypatch.setattr(waiting, "_stopping", True)
    answer = api.create({**PURCHASE, "execute": True}, Prefer="wait=9")
    assert answer.json["status"] == "failed"
    assert answer.json == api.saga(answer.json["id"])


@pytest.mark.django_db
def test_a_repeated_request_waits_too(api: Api, worker: Worker, silent: None, fault: Fault) -> None:
    fault("payment", step="process_payment", fault="delay", seconds=0.5)
    first, again = (
        api.create({**PURCHASE, "execute": True}, Idempotency_Key="k", Prefer=prefer)
        for prefer in ("wait=0", "wait=30")
    )
    assert (first.json["status"], again.json["status"]) == ("in_progress", "completed")
    assert first.json["id"] == again.json["id"]
    assert again.headers["idempotency-replayed"] == "true"


@pytest.mark.django_db
def test_a_lost_announcement_delays_but_does_not_hang(
    api: Api, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_LOOK_EVERY", 0.2)
    monkeypatch.setattr(runtime.completion(), "announce", lambda saga_id: None, raising=True)
    assert execute(api, api.new(), "wait=30").status == 200


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=7", 7),
        ("respond-async, wait=7", 7),
        ("wait=7; x=y", 7),
        ("wait=100", 60),
        ("wait=0", None),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("wait", None),
        ("wait=", None),
        ("wait=ten", None),
        ("wait=" + "9" * 400, None),
        ("await=7", None),
        ("return=minimal", None),
    ],
)
def test_the_preference(
    api: Api, monkeypatch: pytest.MonkeyPatch, prefer: str, seconds: int | None
) -> None:
    waited: list[float] = []

    def wait_until_ended(saga_id: UUID, seconds: float) -> Saga:
        waited.append(seconds)
        return services.get_saga(saga_id)

    monkeypatch.setattr(services, "wait_until_ended", wait_until_ended)
    answer = execute(api, api.new(), prefer)
    assert answer.status == 202
    assert waited == ([] if seconds is None else [seconds])
    assert answer.headers.get("preference-applied") == (seconds and f"wait={seconds}")


@pytest.mark.django_db
def test_a_refused_operation_does_not_wait(api: Api) -> None:
    started = time.monotonic()
    assert api.post(f"{SAGAS}/{api.new()}/retry", Prefer="wait=30").status == 409
    assert time.monotonic() - started < 5


@pytest.mark.django_db(transaction=True)
def test_waiters_never_take_all_threads(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_waiting", threading.BoundedSemaphore(1))
    with waiting._waiting:
        started = time.monotonic()
        for answer in (
            execute(api, api.new(), "wait=20"),
            api.create({**PURCHASE, "execute": True}, Prefer="wait=20", Idempotency_Key="k"),
            api.create({**PURCHASE, "execute": True}, Prefer="wait=20", Idempotency_Key="k"),
        ):
            assert answer.status in (201, 202)
            assert answer.json["status"] == "in_progress"
            assert "preference-applied" not in answer.headers, "nothing was waited for"
        assert time.monotonic() - started < 5


@pytest.mark.django_db(transaction=True)
def test_preferences_may_be_quoted_and_in_capitals(api: Api) -> None:
    answer = execute(api, api.new(), 'respond-async, Wait="1"')
    assert answer.status == 202
    assert answer.headers["preference-applied"] == "wait=1"
