"""The breaker over Redis: its cost, and what happens while Redis is away."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis
from django.conf import settings
from django.test import override_settings
from django_redis import get_redis_connection

from executors import redis_breaker
from executors.breaker import LocalBreaker, Phase, Unshared
from executors.participants import Participant
from executors.redis_breaker import RedisBreaker
from tests.executors.test_breaker import LIMITS, SENT, culprit, needs_redis
from tests.servers import Redis, start_redis


@pytest.fixture(scope="module")
def own_redis() -> Iterator[Redis]:
    with start_redis() as server:
        yield server


@pytest.fixture
def shared(own_redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisBreaker]:
    """A breaker over a Redis of its own, with the connections that the settings make."""
    cache = settings.CACHES["default"] | {"LOCATION": own_redis.url}
    monkeypatch.setattr(redis_breaker, "_LEAVE_ALONE", 0.4)
    with override_settings(CACHES={"default": cache}):
        get_redis_connection("default").flushall()
        yield RedisBreaker("partner", LIMITS, lambda: get_redis_connection("default"))
        get_redis_connection("default").connection_pool.disconnect()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


def commands(server: Redis) -> dict[str, int]:
    """How often each command came, those from scripts included."""
    with redis.Redis.from_url(server.url) as client:
        stats = client.info("commandstats")
    return {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}


def asked(server: Redis, shared: RedisBreaker, times: int) -> int:
    """How many commands so many calls that succeed cost; of those that are sent."""
    before = commands(server)
    for _ in range(times):
        shared.succeeded(shared.enter())
    after = commands(server)
    new = {name: after[name] - before.get(name, 0) for name in after}
    new.pop("info")
    from_scripts = {"get", "time"}
    connecting = {"auth", "hello", "select", "client|setinfo"}
    sent = {n: c for n, c in new.items() if c and n not in from_scripts | connecting}
    assert sent.keys() <= {"evalsha"}
    return sent.get("evalsha", 0)


@needs_redis
def test_calls_that_succeed_cost_no_command_each(own_redis, shared, monkeypatch):
    shared.succeeded(shared.enter())
    monkeypatch.setattr(shared, "_believe", 60)
    shared._closed_until = 0
    assert asked(own_redis, shared, 10) == 1
    shared.failed(shared.enter())
    assert asked(own_redis, shared, 10) == 1, "after a failure it is asked anew"
    monkeypatch.setattr(shared, "_believe", 0)
    shared._closed_until = 0
    assert asked(own_redis, shared, 10) == 10, "belief has an end"


@needs_redis
def test_another_process_s_failures_are_seen_when_the_belief_ends(own_redis, shared):
    other = RedisBreaker("partner", LIMITS, lambda: get_redis_connection("default"))
    assert shared.enter() == SENT
    for _ in range(5):
        other.failed(other.enter())
    assert other.enter().wait is not None
    time.sleep(min(redis_breaker._BELIEVED, LIMITS.recovery / 10))
    assert shared.enter().wait is not None


@needs_redis
def test_an_answer_that_is_older_than_a_failure_is_not_believed(own_redis, shared, monkeypatch):
    run = shared._run

    def fails_meanwhile(script, *arguments):
        found = run(script, *arguments)
        monkeypatch.setattr(shared, "_run", run)
        for _ in range(5):
            shared.failed(SENT)
        return found

    monkeypatch.setattr(shared, "_run", fails_meanwhile)
    assert shared.enter() == SENT
    assert shared.enter().wait is not None


@needs_redis
def test_a_redis_that_forgot_the_scripts_is_told_them_again(shared):
    for _ in range(5):
        get_redis_connection("default").script_flush()
        shared.failed(shared.enter())
    assert shared.enter().wait is not None


@needs_redis
def test_failures_leave_nothing_behind_for_ever(own_redis, shared):
    shared.failed(shared.enter())
    client = get_redis_connection("default")
    assert [0 < client.pttl(key) <= 800 for key in client.keys("*")] == [True]


@needs_redis
def test_keys_that_are_deleted_close_it(shared):
    for _ in range(5):
        shared.failed(shared.enter())
    get_redis_connection("default").flushall()
    assert shared.enter() == SENT


@needs_redis
def test_while_redis_is_away_the_process_has_its_own_and_then_the_shared_one(own_redis, shared):
    shared.succeeded(shared.enter())
    own_redis.kill()
    try:
        with within(0.5):
            for _ in range(5):
                permit = shared.enter()
                assert permit == SENT
                shared.failed(permit)
            assert shared.enter().wait is not None
            shared.succeeded(SENT)
    finally:
        own_redis.start()
    time.sleep(0.45)
    assert shared.enter() == SENT


@needs_redis
def test_while_redis_is_away_it_says_whose_it_is_and_cannot_be_reset(own_redis, shared):
    for _ in range(5):
        shared.failed(shared.enter())
    assert (shared.look().phase, shared.look().shared) == (Phase.OPEN, True)
    own_redis.kill()
    try:
        with within(0.5):
            assert (shared.look().phase, shared.look().shared) == (Phase.CLOSED, False)
            with pytest.raises(Unshared, match="Redis does not answer"):
                shared.reset()
    finally:
        own_redis.start()


@needs_redis
def test_a_reset_leaves_nothing_behind(own_redis, shared):
    for _ in range(5):
        shared.failed(shared.enter())
    shared.reset()
    assert get_redis_connection("default").keys("*") == []


@needs_redis
def test_one_that_an_earlier_version_opened_is_shown(shared):
    """Its workers set only when it ends; who opened it before is not who did now."""
    client = get_redis_connection("default")
    for _ in range(5):
        shared.failed(shared.enter(), culprit())
    time.sleep(LIMITS.recovery)
    shared.succeeded(shared.enter())
    client.set("saga-breaker:{partner}:open", client.time()[0] * 1000 + 60_000)
    standing = shared.look()
    assert (standing.phase, standing.since, standing.by) == (Phase.OPEN, None, None)
    shared.reset()
    assert shared.look().phase is Phase.CLOSED


@needs_redis
def test_a_redis_that_hangs_does_not_hold_up_every_call(own_redis, shared):
    shared.succeeded(shared.enter())
    time.sleep(LIMITS.recovery / 10)  # until it is asked again
    assert own_redis.process is not None
    own_redis.process.send_signal(signal.SIGSTOP)
    try:
        with within(1.3):
            assert shared.enter() == SENT
        with within(0.1):
            for _ in range(5):
                shared.failed(shared.enter())
            assert shared.enter().wait is not None
    finally:
        own_redis.process.send_signal(signal.SIGCONT)


@needs_redis
def test_a_probe_of_this_process_alone_survives_the_return_of_redis(own_redis, shared):
    own_redis.kill()
    try:
        for _ in range(5):
            shared.failed(shared.enter())
        time.sleep(LIMITS.recovery)
        probe = shared.enter()
        assert probe.probe
    finally:
        own_redis.start()
    time.sleep(0.45)
    shared.succeeded(probe)
    assert shared.enter() == SENT


@pytest.mark.parametrize(
    ("together", "kind"), [(False, LocalBreaker), pytest.param(True, RedisBreaker)]
)
def test_a_participant_s_breaker_is_shared_where_there_is_redis(together, kind):
    with override_settings(SAGA_SHARED_STATE=together):
        assert type(Participant("partner", "http://127.0.0.1:1").breaker) is kind
