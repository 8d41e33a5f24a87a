"""Messages: one command to send, one to receive; and none is more than a hint."""

from __future__ import annotations

import time
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


def message(number: int, age: float = 0.0) -> dramatiq.Message[Any]:
    made = int((time.time() - age) * 1000)
    return dramatiq.Message("sagas", "act", (number,), {}, {}, message_timestamp=made)


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
    assert {n: c for n, c in new.items() if c >= 10} == {"zadd": 10, "bzpopmin": 10}
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
    assert broker.do_qsize("sagas") == 3
    assert numbers(broker.consume("sagas", prefetch=1, timeout=10)) == [1], "the oldest"


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
    now = time.time() * 1000
    unreadable = {b"\xff": now, b"[]": now, b"7": now}
    broker.client.zadd(broker.key("sagas"), unreadable)
    broker.enqueue(message(1, age=-1))
    consumer = broker.consume("sagas", prefetch=1, timeout=10)
    assert [next(consumer) for _ in unreadable] == [None] * 3
    assert numbers(consumer) == [1]


def test_what_waits_already_is_not_doubled(broker: HintBroker) -> None:
    for _ in range(2):
        broker.enqueue(message(1))
        broker.send_all([message(1, age=5), message(2, age=5)])
    assert numbers(broker.consume("sagas", prefetch=9, timeout=10)) == [2, 1]


def test_a_message_that_was_taken_may_be_sent_again(broker: HintBroker) -> None:
    consumer = broker.consume("sagas", prefetch=9, timeout=10)
    for _ in range(2):
        broker.enqueue(message(1))
        assert numbers(consumer) == [1]


def test_after_one_that_waited_long_it_is_the_newests_turn(broker: HintBroker) -> None:
    broker.send_all([message(number, age=99 - number) for number in range(5)])
    broker.send_all([message(number, age=-number) for number in (10, 11, 12)])
    taken = numbers(broker.consume("sagas", prefetch=9, timeout=10))
    assert taken == [0, 12, 1, 11, 2, 10, 3, 4]


def test_as_long_as_none_waits_long_the_oldest_goes_first(broker: HintBroker) -> None:
    for number in range(5):
        broker.enqueue(message(number, age=5 - number))
    assert numbers(broker.consume("sagas", prefetch=9, timeout=10)) == list(range(5))


def test_a_redis_that_is_full_is_no_broker(broker: HintBroker) -> None:
    broker.client.config_set("maxmemory", "1")
    try:
        with pytest.raises(Exception, match="maxmemory"):
            broker.do_qsize("sagas")
        with pytest.raises(Exception, match="maxmemory"):
            broker.enqueue(message(1))
        with pytest.raises(Exception, match="maxmemory"):
            broker.send_all([message(1)])
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
