"""What a saga of five steps costs, counted: a change that makes it heavier is seen at once.

The benchmark's saga type against its shop, with the real engine, PostgreSQL and Redis; the API's
own statements are counted in tests/api/test_cost.py.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from unittest import mock
from uuid import UUID

import pytest
from django.test import override_settings
from redis.connection import AbstractConnection

from benchmarks.ledger import Ledger
from benchmarks.participant import Connection, Shop
from benchmarks.purchase import BenchmarkPurchase
from executors.participants import participants
from executors.registry import registry
from sagas import actors, runtime, services
from sagas.broker import QUEUE, broker
from sagas.domain.state import SagaStatus
from sagas.models import SagaEvent
from sagas.services import driving, waiting
from tests.api.client import on_servers
from tests.engine.stage import asked

pytestmark = [pytest.mark.django_db(transaction=True), on_servers]


@pytest.fixture(scope="module")
def shop() -> Iterator[tuple[int, Ledger]]:
    """Its port, and what it did."""
    shop, loop = Shop(), asyncio.new_event_loop()
    started = loop.create_server(lambda: Connection(shop), "127.0.0.1", 0)
    server = loop.run_until_complete(started)
    thread = Thread(target=loop.run_forever)
    thread.start()
    yield server.sockets[0].getsockname()[1], shop.ledger
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    server.close()
    loop.close()


@pytest.fixture
def calls(shop: tuple[int, Ledger]) -> Iterator[Ledger]:
    """The saga type and its shop are known; one saga was driven, so that all is warm."""
    port, ledger = shop
    addresses = {"shop": f"http://127.0.0.1:{port}"}
    with (
        mock.patch.dict(registry._executors),  # others have no address of its participant
        override_settings(SAGA_PARTICIPANTS=addresses),
        mock.patch.object(runtime, "_wake", actors.wake),
    ):
        registry.register(BenchmarkPurchase)
        participants.cache_clear()
        broker.flush(QUEUE)
        actors.stopping.clear()  # a worker of another test may have set it
        drive(create(1))
        yield ledger
        broker.flush(QUEUE)
    participants.cache_clear()


def create(order: int, wait: float = 0) -> UUID:
    data = {**BenchmarkPurchase.example, "order_id": str(order)}
    created = services.create_saga(
        "bench_purchase", data, execute=True, actor="test", idempotency_key=f"{order}", wait=wait
    )
    return created.id


def drive(saga_id: UUID) -> None:
    """As a worker does, with the message that was sent."""
    consumer = broker.consume(QUEUE, prefetch=1, timeout=10)
    message = next(consumer)
    assert message is not None
    assert message.args == (str(saga_id),)
    actors.drive_saga(*message.args)
    consumer.ack(message)


@contextmanager
def commands() -> Iterator[Counter[str]]:
    """The commands that this process sends to Redis meanwhile."""
    found: Counter[str] = Counter()
    send = AbstractConnection.send_command

    def note(self: AbstractConnection, *command: str, **options: object) -> None:
        found[command[0].lower()] += 1
        send(self, *command, **options)

    with mock.patch.object(AbstractConnection, "send_command", note):
        yield found


def test_a_saga_that_a_worker_drives(calls: Ledger) -> None:
    with asked() as statements, commands() as sent:
        saga_id = create(2)
        drive(saga_id)
    words = Counter(statement.split()[0] for statement in statements)
    # The key and the clock; the saga for its claim. Each "WITH" is one transition and one commit:
    # create, claim, start, and five answers.
    assert words == {"SELECT": 2, "WITH": 8}
    # One message; the lock; the breaker of one participant at most once in a tenth of a second.
    asks = sent.pop("evalsha") - 1
    assert 0 <= asks <= 5
    assert sent == {"zadd": 1, "bzpopmin": 1, "set": 1, "publish": 1}
    assert SagaEvent.objects.filter(saga_id=saga_id).count() == 14
    assert services.get_saga(saga_id).status == SagaStatus.COMPLETED


def test_a_saga_that_its_creator_drives(calls: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driving, "_attend", lambda: None)
    with override_settings(SAGA_API_DRIVES=True), asked() as statements, commands() as sent:
        saga_id = create(3, wait=5)
    words = Counter(statement.split()[0] for statement in statements)
    # The key and the clock; created, claimed and started in one commit; five answers; the end.
    assert words == {"SELECT": 2, "WITH": 6}
    assert 0 <= sent.pop("evalsha", 0) <= 5
    assert sent == {"publish": 1}
    saga = services.get_saga(saga_id)
    assert saga.status == SagaStatus.COMPLETED
    kinds = SagaEvent.objects.filter(saga_id=saga_id).order_by("seq").values_list("kind", flat=True)
    assert list(kinds)[:4] == ["saga_created", "execute_requested", "claimed", "attempt_started"]


def test_its_creator_s_time_is_over(calls: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left then goes to the workers; nothing is called twice."""
    monkeypatch.setattr(driving, "_attend", lambda: None)
    with override_settings(SAGA_API_DRIVES=True):
        saga_id = create(4, wait=1e-9)
        assert services.get_saga(saga_id).status == SagaStatus.IN_PROGRESS
        drive(saga_id)
    assert services.get_saga(saga_id).status == SagaStatus.COMPLETED
    assert [event.epoch for event in SagaEvent.objects.filter(saga_id=saga_id)][-1] == 2


def test_who_finds_no_place_leaves_it_to_the_workers(calls: Ledger) -> None:
    with override_settings(SAGA_API_DRIVES=True):
        while waiting._waiting.acquire(blocking=False):
            pass
        try:
            saga_id = create(5, wait=5)
        finally:
            for _ in range(waiting._waiting._initial_value):  # type: ignore[attr-defined]
                waiting._waiting.release()
        assert services.get_saga(saga_id).owner == ""
        drive(saga_id)
    assert services.get_saga(saga_id).status == SagaStatus.COMPLETED
