"""The circuit breaker: one process's own, and the one that a fleet shares through Redis."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from threading import Barrier
from uuid import uuid4

import pytest
import redis
from django.conf import settings
from django.test import override_settings
from django_redis import get_redis_connection

from executors.breaker import Breaker, Limits, LocalBreaker, Permit
from executors.participants import Participant
from executors.redis_breaker import RedisBreaker
from tests.servers import Redis, start_redis

LIMITS = Limits(threshold=5, window=0.8, recovery=0.3, probe=0.4)
SENT = Permit()

needs_redis = pytest.mark.skipif(not settings.REDIS_URL, reason="no Redis in this run")


class Fleet:
    """Several callers of one participant, and how time passes for them."""

    def __init__(self, callers: list[Breaker], pass_time: Callable[[float], None]) -> None:
        self.callers = callers
        self.pass_time = pass_time
        self.one, self.other = callers[0], callers[-1]

    def fail(self, times: int = 5) -> None:
        for number in range(times):
            caller = self.callers[number % len(self.callers)]
            caller.failed(caller.enter())

    def open(self) -> None:
        self.fail()
        assert self.one.enter().wait is not None

    def probe(self) -> Permit:
        """Open the breaker, let the recovery time pass, and get the probe."""
        self.open()
        self.pass_time(LIMITS.recovery)
        permit = self.one.enter()
        assert permit.probe
        return permit


def fleet_of_one() -> Fleet:
    now = [1000.0]

    def pass_time(seconds: float) -> None:
        now[0] += seconds

    return Fleet([LocalBreaker(LIMITS, clock=lambda: now[0])] * 3, pass_time)


def fleet_over_redis() -> Fleet:
    name = uuid4().hex
    clients = [redis.Redis.from_url(settings.REDIS_URL) for _ in range(3)]
    callers = [RedisBreaker(name, LIMITS, partial(_same, client)) for client in clients]
    return Fleet([*callers], lambda seconds: time.sleep(seconds + 0.005))


def _same(client: redis.Redis) -> redis.Redis:
    return client


@pytest.fixture(params=["local", pytest.param("redis", marks=needs_redis)])
def fleet(request: pytest.FixtureRequest) -> Iterator[Fleet]:
    made = fleet_of_one() if request.param == "local" else fleet_over_redis()
    yield made
    for caller in made.callers:
        if isinstance(caller, RedisBreaker):
            caller._client().close()


# --- The rules, whoever shares it -------------------------------------------------------------


def test_it_starts_closed(fleet):
    assert fleet.one.enter() == SENT


def test_failures_within_the_window_open_it_for_all(fleet):
    fleet.fail(4)
    assert fleet.other.enter() == SENT
    fleet.fail(1)
    for caller in fleet.callers:
        permit = caller.enter()
        assert permit.wait is not None
        assert timedelta(0) < permit.wait <= timedelta(seconds=LIMITS.recovery)
        assert not permit.probe


def test_successes_between_them_do_not_take_failures_back(fleet):
    for _ in range(5):
        fleet.fail(1)
        fleet.one.succeeded(fleet.one.enter())
    assert fleet.one.enter().wait is not None


def test_failures_before_the_window_do_not_count(fleet):
    fleet.fail(3)
    fleet.pass_time(LIMITS.window + 0.01)
    fleet.fail(4)
    assert fleet.one.enter() == SENT
    fleet.fail(1)
    assert fleet.one.enter().wait is not None


def test_the_window_slides(fleet):
    fleet.fail(2)
    fleet.pass_time(LIMITS.window * 0.6)
    fleet.fail(2)
    fleet.pass_time(LIMITS.window * 0.6)
    fleet.fail(2)
    assert fleet.one.enter() == SENT


def test_the_wait_is_the_rest_of_the_recovery_time(fleet):
    fleet.open()
    fleet.pass_time(LIMITS.recovery * 0.6)
    wait = fleet.one.enter().wait
    assert wait is not None
    assert wait <= timedelta(seconds=LIMITS.recovery * 0.4 + 0.001)


def test_after_the_recovery_time_one_may_probe_and_the_others_wait(fleet):
    permit = fleet.probe()
    assert permit.wait is None
    for caller in fleet.callers:
        refused = caller.enter()
        assert refused.wait is not None
        assert timedelta(0) < refused.wait <= timedelta(seconds=LIMITS.probe)


@pytest.mark.parametrize("_", range(3))
def test_of_many_at_once_exactly_one_may_probe(fleet, _):
    fleet.open()
    fleet.pass_time(LIMITS.recovery)
    gate = Barrier(20)

    def ask(number: int) -> Permit:
        gate.wait()
        permit: Permit = fleet.callers[number % 3].enter()
        return permit

    with ThreadPoolExecutor(20) as pool:
        permits = list(pool.map(ask, range(20)))
    assert sum(bool(permit.probe) for permit in permits) == 1
    assert sum(permit.wait is None for permit in permits) == 1


def test_a_probe_that_succeeds_closes_it_for_all(fleet):
    fleet.one.succeeded(fleet.probe())
    assert fleet.other.enter() == SENT
    fleet.fail(4)  # counted anew
    assert fleet.other.enter() == SENT


def test_a_probe_that_fails_opens_it_again_for_the_whole_recovery_time(fleet):
    fleet.one.failed(fleet.probe())
    wait = fleet.other.enter().wait
    assert wait is not None
    assert wait > timedelta(seconds=LIMITS.recovery * 0.6)
    fleet.pass_time(LIMITS.recovery)
    assert fleet.other.enter().probe


def test_a_probe_that_is_never_heard_of_again_is_replaced(fleet):
    lost = fleet.probe()
    fleet.pass_time(LIMITS.probe)
    permit = fleet.other.enter()
    assert permit.probe
    assert permit.probe != lost.probe


@pytest.mark.parametrize("replaced", [False, True])
def test_what_becomes_of_a_lost_probe_later_means_nothing(fleet, replaced):
    lost = fleet.probe()
    fleet.pass_time(LIMITS.probe)
    if replaced:
        assert fleet.other.enter().probe
    fleet.one.succeeded(lost)
    fleet.one.failed(lost)
    permit = fleet.other.enter()
    assert (permit.wait is not None) if replaced else permit.probe


def test_calls_from_before_it_opened_change_nothing(fleet):
    before = fleet.one.enter()
    fleet.open()
    fleet.one.succeeded(before)
    assert fleet.one.enter().wait is not None
    fleet.pass_time(LIMITS.recovery)
    probe = fleet.one.enter()
    assert probe.probe
    fleet.one.failed(before)  # neither a failure of the probe …
    fleet.one.succeeded(before)  # … nor its success
    fleet.other.succeeded(probe)
    assert fleet.one.enter() == SENT
    fleet.fail(4)
    assert fleet.one.enter() == SENT


def test_failures_of_calls_that_were_under_way_do_not_prolong_it(fleet):
    under_way = [fleet.one.enter() for _ in range(6)]
    fleet.open()
    fleet.pass_time(LIMITS.recovery * 0.6)
    for permit in under_way:
        fleet.other.failed(permit)
    fleet.pass_time(LIMITS.recovery * 0.4)
    assert fleet.one.enter().probe


# --- Over Redis -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own_redis() -> Iterator[Redis]:
    with start_redis() as server:
        yield server


@pytest.fixture
def shared(own_redis: Redis) -> Iterator[RedisBreaker]:
    """A breaker over a Redis of its own, with the connections that the settings make."""
    cache = settings.CACHES["default"] | {"LOCATION": own_redis.url}
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


@needs_redis
def test_a_call_that_succeeds_costs_one_command(own_redis, shared):
    shared.succeeded(shared.enter())
    before = commands(own_redis)
    for _ in range(10):
        shared.succeeded(shared.enter())
    after = commands(own_redis)
    new = {name: after[name] - before.get(name, 0) for name in after}
    new.pop("info")
    from_scripts = {"get", "time"}
    connecting = {"auth", "hello", "select", "client|setinfo"}
    sent = {n: c for n, c in new.items() if c and n not in from_scripts | connecting}
    assert sent == {"evalsha": 10}


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
    time.sleep(1.05)
    assert shared.enter() == SENT


@needs_redis
def test_a_redis_that_hangs_holds_up_one_call_in_a_second(own_redis, shared):
    shared.succeeded(shared.enter())
    assert own_redis.process is not None
    own_redis.process.send_signal(signal.SIGSTOP)
    try:
        with within(0.9):
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
    time.sleep(1.05)
    shared.succeeded(probe)
    assert shared.enter() == SENT


@pytest.mark.parametrize(
    ("together", "kind"), [(False, LocalBreaker), pytest.param(True, RedisBreaker)]
)
def test_a_participant_s_breaker_is_shared_where_there_is_redis(together, kind):
    with override_settings(SAGA_SHARED_STATE=together):
        assert type(Participant("partner", "http://127.0.0.1:1").breaker) is kind
