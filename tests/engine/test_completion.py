"""Waiting over Redis: no connection, look or command more than it takes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import pytest
import redis

from sagas.engine.away import cache_away
from sagas.engine.completion import LocalCompletion, RedisCompletion
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


def heard(completion: RedisCompletion, *, said: bool = True) -> bool:
    """Whether who listens to a saga is told of its end, which comes before it is waited for."""
    saga_id, started = uuid4(), time.monotonic()
    with completion.listening(saga_id) as hear:
        if said:
            completion.announce(saga_id)
        hear(30 if said else 0.2)
    return time.monotonic() - started < (20 if said else 0.2)


def test_an_end_before_the_wait_is_heard(completion: RedisCompletion) -> None:
    assert heard(completion)
    assert not heard(completion, said=False)
    local = LocalCompletion()
    with local.listening(uuid4()) as hear:
        local.announce(uuid4())
        started = time.monotonic()
        hear(30)
        assert time.monotonic() - started < 20
        hear(0.2)  # nothing more was said
        assert time.monotonic() - started >= 0.2


def test_the_connection_is_kept(server: Redis, completion: RedisCompletion) -> None:
    heard(completion)
    before = commands(server)
    for _ in range(10):
        assert heard(completion)
    after = commands(server)
    new: dict[str, Any] = {name: after[name] - before.get(name, 0) for name in after}
    assert {n: c for n, c in new.items() if c >= 10} == {
        "publish": 10, "subscribe": 10, "unsubscribe": 10,
    }  # fmt: skip
    assert len(completion._ears) == 1


def test_what_was_said_of_an_earlier_one_wakes_nobody(completion: RedisCompletion) -> None:
    other = uuid4()
    with completion.listening(other):
        completion.announce(other)
    assert not heard(completion, said=False)
    assert heard(completion)
    assert len(completion._ears) == 1


def test_a_redis_that_was_restarted_is_listened_to_anew(
    server: Redis, completion: RedisCompletion
) -> None:
    heard(completion)
    server.kill()
    server.start()
    assert heard(completion)
    assert len(completion._ears) == 1


def test_a_redis_that_hangs_holds_up_once_however_many_listened(
    server: Redis, completion: RedisCompletion
) -> None:
    with ExitStack() as listening:
        for _ in range(4):
            listening.enter_context(completion.listening(uuid4()))
        assert server.process is not None
        os.kill(server.process.pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        with completion.listening(uuid4()), completion.listening(uuid4()):
            assert time.monotonic() - started < 3
        assert cache_away
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    cache_away.forget()
    assert heard(completion)


def test_without_redis_who_listens_only_waits(server: Redis, completion: RedisCompletion) -> None:
    with completion.listening(uuid4()) as hear:
        server.kill()
        started = time.monotonic()
        while time.monotonic() - started < 1:
            hear(0.5)  # the first one may end at once: there is something to look for
        hear(0.5)
    with completion.listening(uuid4()) as hear:
        started = time.monotonic()
        hear(0.3)
    assert time.monotonic() - started >= 0.3
    assert not completion._ears


def test_who_gives_up_leaves_no_connection_behind(completion: RedisCompletion) -> None:
    with pytest.raises(KeyError), completion.listening(uuid4()):
        raise KeyError
    assert not completion._ears
    assert not heard(completion, said=False)
    assert len(completion._ears) == 1
