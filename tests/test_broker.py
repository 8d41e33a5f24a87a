"""Messages: one command to send, one to receive; and none is more than a hint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dramatiq
import pytest
from dramatiq.errors import ConnectionClosed
from redis import Redis

from sagas.broker import HintBroker
from tests.executors.test_redis_breaker import commands
from tests.servers import Redis as Server
from tests.servers import start_redis


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with start_redis() as running:
        yield running


@pytest.fixture
def broker(server: Server) -> Iterator[HintBroker]:
    with Redis.from_url(server.url) as client:
        client.flushall()
        broker = HintBroker(client=client, middleware=[], namespace="test")
        broker.declare_queue("sagas")
        yield broker


def message(number: int) -> dramatiq.Message[Any]:
    return dramatiq.Message(
        queue_name="sagas", actor_name="act", args=(number,), kwargs={}, options={}
    )


def numbers(consumer: Any) -> list[int]:
    """What it takes until it has no room, or there is nothing."""
    return [taken.args[0] for taken in iter(consumer.__next__, None)]


def test_a_message_costs_a_command_each_way(server: Server, broker: HintBroker) -> None:
    consumer, before = broker.consume("sagas", prefetch=2, timeout=10), commands(server)
    for number in range(10):
        broker.enqueue(message(number))
        taken = next(consumer)
        assert taken is not None
        assert taken.args == (number,)
        consumer.ack(taken)
    after = commands(server)
    new = {name: after[name] - before.get(name, 0) for name in after}
    assert {n: c for n, c in new.items() if c >= 10} == {"rpush": 10, "blpop": 10}
    assert broker.delay_queues == set(), "nobody looks for delayed ones"


def test_a_consumer_takes_no_more_than_it_has_room_for(broker: HintBroker) -> None:
    for number in range(5):
        broker.enqueue(message(number))
    consumer = broker.consume("sagas", prefetch=2, timeout=10)
    first, second = next(consumer), next(consumer)
    assert next(consumer) is None
    assert broker.do_qsize("sagas") == 3
    assert first is not None
    assert second is not None
    consumer.ack(first)
    consumer.ack(first)  # once is enough
    assert numbers(consumer) == [2]
    consumer.requeue([second])
    assert numbers(broker.consume("sagas", prefetch=9, timeout=10)) == [1, 3, 4]


def test_what_another_consumer_took_makes_no_room(broker: HintBroker) -> None:
    """As after a connection that broke, when a new one takes its place."""
    for number in range(3):
        broker.enqueue(message(number))
    old = next(broker.consume("sagas", prefetch=1, timeout=10))
    consumer = broker.consume("sagas", prefetch=1, timeout=10)
    assert old is not None
    consumer.nack(old)
    assert numbers(consumer) == [1]


def test_what_is_no_message_is_dropped(broker: HintBroker) -> None:
    broker.client.rpush(broker.key("sagas"), b"\xff", b"[]", message(1).encode())
    consumer = broker.consume("sagas", prefetch=1, timeout=10)
    assert [next(consumer), next(consumer)] == [None, None]
    assert numbers(consumer) == [1]


def test_a_redis_that_is_full_is_no_broker(broker: HintBroker) -> None:
    broker.client.config_set("maxmemory", "1")
    try:
        with pytest.raises(Exception, match="maxmemory"):
            broker.do_qsize("sagas")
        with pytest.raises(Exception, match="maxmemory"):
            broker.enqueue(message(1))
    finally:
        broker.client.config_set("maxmemory", "0")


def test_a_redis_that_goes_away_is_dramatiqs_to_come_back_to(
    server: Server, broker: HintBroker
) -> None:
    consumer = broker.consume("sagas", prefetch=1, timeout=10)
    assert next(consumer) is None
    server.kill()
    try:
        with pytest.raises(ConnectionClosed):
            next(consumer)
    finally:
        server.start()
