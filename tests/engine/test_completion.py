"""Waiting over Redis: no connection, look or command more than it takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import redis

from sagas.engine.completion import RedisCompletion
from tests.executors.test_redis_breaker import commands
from tests.servers import Redis, start_redis


@pytest.fixture
def server() -> Iterator[Redis]:
    with start_redis() as running:
        yield running


@pytest.fixture
def completion(server: Redis) -> Iterator[RedisCompletion]:
    with redis.Redis.from_url(server.url) as client:
        client.ping()
        yield RedisCompletion(lambda: client)


class Saga:
    """One that ends, and says so, when it was looked at for the first time."""

    def __init__(self, completion: RedisCompletion) -> None:
        self.id = uuid4()
        self.looks = 0
        self._completion = completion

    def ended(self) -> bool:
        self.looks += 1
        if self.looks == 1:
            self._completion.announce(self.id)
        return self.looks > 1

    def wait(self) -> bool:
        return self._completion.wait(self.id, 30, self.ended)


def test_one_look_before_and_one_after_the_message(completion: RedisCompletion) -> None:
    saga = Saga(completion)
    assert saga.wait()
    assert saga.looks == 2


def test_the_connection_is_kept(server: Redis, completion: RedisCompletion) -> None:
    Saga(completion).wait()
    before = commands(server)
    for _ in range(10):
        assert Saga(completion).wait()
    after = commands(server)
    new: dict[str, Any] = {name: after[name] - before.get(name, 0) for name in after}
    assert {n: c for n, c in new.items() if c >= 10} == {
        "publish": 10, "subscribe": 10, "unsubscribe": 10,
    }  # fmt: skip
    assert len(completion._ears) == 1


def test_what_was_said_of_an_earlier_one_wakes_nobody(completion: RedisCompletion) -> None:
    with completion._listening("saga-ended:other"):
        completion._client().publish("saga-ended:other", "ended")
    saga = Saga(completion)
    assert saga.wait()
    assert saga.looks == 2
    assert len(completion._ears) == 1


def test_a_redis_that_was_restarted_is_listened_to_anew(
    server: Redis, completion: RedisCompletion
) -> None:
    Saga(completion).wait()
    server.kill()
    server.start()
    saga = Saga(completion)
    assert saga.wait()
    assert saga.looks == 2
    assert len(completion._ears) == 1


def test_who_gives_up_leaves_no_connection_behind(completion: RedisCompletion) -> None:
    def ended() -> bool:
        raise KeyError

    with pytest.raises(KeyError):
        completion.wait(uuid4(), 30, ended)
    assert not completion.wait(uuid4(), 0.01, lambda: False)
    assert len(completion._ears) == 1
