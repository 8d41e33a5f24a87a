"""The circuit breaker: one process's own, and the one that a fleet shares through Redis."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Barrier
from uuid import uuid4

import pytest
import redis
from django.conf import settings

from executors import breaker, redis_breaker
from executors.breaker import Breaker, Culprit, Limits, LocalBreaker, Permit, Phase
from executors.redis_breaker import RedisBreaker

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


def fleet_of_one(limits: Limits = LIMITS) -> Fleet:
    now = [1000.0]

    def pass_time(seconds: float) -> None:
        now[0] += seconds

    return Fleet([LocalBreaker(limits, clock=lambda: now[0])] * 3, pass_time)


def fleet_over_redis(limits: Limits = LIMITS) -> Fleet:
    name = uuid4().hex
    clients = [redis.Redis.from_url(settings.REDIS_URL) for _ in range(3)]
    callers = [RedisBreaker(name, limits, partial(_same, client)) for client in clients]
    for caller in callers:
        caller._believe = 0  # each sees at once what the others see a moment later
    return Fleet([*callers], lambda seconds: time.sleep(seconds + 0.005))


def _same(client: redis.Redis) -> redis.Redis:
    return client


@pytest.fixture(params=["local", pytest.param("redis", marks=needs_redis)])
def fleet(request: pytest.FixtureRequest) -> Iterator[Fleet]:
    made = fleet_of_one() if request.param == "local" else fleet_over_redis()
    yield made
    close(made)


def close(fleet: Fleet) -> None:
    for caller in fleet.callers:
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


@pytest.mark.parametrize("make", [fleet_of_one, pytest.param(fleet_over_redis, marks=needs_redis)])
def test_who_waits_for_a_probe_asks_again_after_as_long_as_it_has_taken(make, monkeypatch):
    for module in (breaker, redis_breaker):
        monkeypatch.setattr(module, "PROBE_LOOK", 0.01)
    fleet = make(replace(LIMITS, probe=100))
    fleet.probe()
    ages = (0.0, 0.1, 0.3)
    waits = []
    for before, age in zip((0.0, *ages), ages, strict=False):
        fleet.pass_time(age - before)
        waits.append(fleet.other.enter().wait.total_seconds())
    assert all(wait >= max(age, 0.01) - 0.001 for wait, age in zip(waits, ages, strict=True))
    assert waits == sorted(waits)
    assert waits[-1] < 50, "only as long as it has taken, not until it is given up"
    close(fleet)


def test_nobody_waits_for_longer_than_until_a_probe_is_given_up(fleet):
    fleet.probe()
    fleet.pass_time(LIMITS.probe * 0.7)
    wait = fleet.other.enter().wait
    assert wait is None or wait <= timedelta(seconds=LIMITS.probe * 0.3 + 0.001)


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


# --- Looking at it, and resetting it ----------------------------------------------------------


def culprit(number: int = 1) -> Culprit:
    return Culprit(
        saga_id=str(uuid4()),
        saga_type="purchase_saga",
        step="pay",
        error=f'payment answered 503: "{number}" é',
        worker="host:1:aabbccdd",
    )


def test_a_closed_one_shows_the_failures_of_its_window(fleet):
    assert (fleet.one.look().phase, fleet.one.look().failures) == (Phase.CLOSED, 0)
    fleet.fail(3)
    fleet.pass_time(LIMITS.window * 0.6)
    fleet.fail(1)
    standing = fleet.other.look()
    assert (standing.phase, standing.failures) == (Phase.CLOSED, 4)
    assert (standing.since, standing.until, standing.by) == (None, None, None)
    fleet.pass_time(LIMITS.window * 0.6)
    assert fleet.other.look().failures == 1


def test_an_open_one_shows_since_when_and_whose_failure_was_one_too_many(fleet):
    culprits = [culprit(number) for number in range(6)]
    for number, by in enumerate(culprits):
        caller = fleet.callers[number % 3]
        caller.failed(caller.enter(), by)
    standing = fleet.other.look()
    assert standing.phase is Phase.OPEN
    assert standing.by == culprits[4], "the sixth came too late to open it"
    assert standing.since is not None
    assert abs(datetime.now(UTC) - standing.since) < timedelta(seconds=0.2)
    assert standing.until is not None
    recovery = (standing.until - standing.since).total_seconds()
    assert abs(recovery - LIMITS.recovery) < 0.01


def test_one_of_which_nobody_said_who_opened_it_is_shown_all_the_same(fleet):
    fleet.open()
    standing = fleet.one.look()
    assert (standing.phase, standing.by) == (Phase.OPEN, None)
    assert standing.since is not None


def test_a_failed_probe_changes_who_but_not_since_when(fleet):
    fleet.open()
    since = fleet.one.look().since
    fleet.pass_time(LIMITS.recovery)
    assert fleet.one.look().phase is Phase.PROBING
    probe = fleet.one.enter()
    assert fleet.other.look().phase is Phase.PROBING
    by = culprit()
    fleet.one.failed(probe, by)
    standing = fleet.other.look()
    assert (standing.phase, standing.by, standing.since) == (Phase.OPEN, by, since)


def test_once_closed_the_next_opening_is_a_new_story(fleet):
    for _ in range(5):
        fleet.one.failed(fleet.one.enter(), culprit())
    before = fleet.one.look().since
    fleet.pass_time(LIMITS.recovery)
    fleet.one.succeeded(fleet.one.enter())
    assert fleet.other.look().phase is Phase.CLOSED
    time.sleep(0.002)
    fleet.open()
    standing = fleet.one.look()
    assert standing.by is None
    assert standing.since is not None
    assert before is not None
    assert standing.since > before


def test_looking_is_no_call(fleet):
    fleet.open()
    fleet.pass_time(LIMITS.recovery)
    for _ in range(3):
        fleet.one.look()
    assert fleet.one.enter().probe


@pytest.mark.parametrize("state", ["failures", "open", "probing"])
def test_a_reset_one_is_as_new(fleet, state):
    probe = Permit()
    if state == "failures":
        fleet.fail(4)
    elif state == "open":
        fleet.open()
    else:
        probe = fleet.probe()
    fleet.other.reset()
    assert fleet.one.enter() == SENT
    assert fleet.one.look().failures == 0
    fleet.one.failed(probe)  # of before
    assert fleet.one.look().phase is Phase.CLOSED
    fleet.one.reset()
    fleet.fail(4)
    assert fleet.one.enter() == SENT
    fleet.fail(1)
    assert fleet.one.look().phase is Phase.OPEN
