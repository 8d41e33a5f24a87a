"""Redis goes away, hangs, forgets or is full while clients buy and sagas run.

There are two, as where it matters: one for messages, one for what may be evicted.
"""

import time
from collections.abc import Callable, Iterator

import pytest
import redis

from tests.acceptance.buyers import Buyers
from tests.acceptance.service import Service, eventually, frozen
from tests.free_port import free_port
from tests.servers import Redis, start_redis

pytestmark = [pytest.mark.xdist_group("degraded"), pytest.mark.timeout(180)]

AWAY = 2.0
"""Seconds for which something is amiss: longer than a moment's silence after a failure."""

WELL = {"status": "ok", "database": "ok", "cache": "ok", "broker": "ok"}


class Apart(Service):
    """A service whose cache is on a Redis of its own."""

    def __enter__(self) -> "Apart":
        self.cache = start_redis()
        self.env["REDIS_CACHE_URL"] = self.cache.url
        super().__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        self.cache.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    quick = {
        "SAGA_LEASE_MS": "3000",
        "SAGA_CALL_TIMEOUT_MS": "2000",
        "SAGA_SWEEP_INTERVAL_MS": "300",
        "SAGA_API_PROCESSES": "1",
    }
    with Apart(tmp_path_factory.mktemp("redis"), free_port(), **quick) as running:
        running.start_api()
        running.start_worker()
        running.ends(running.create(), "completed")
        yield running


@pytest.fixture(autouse=True)
def all_well(service: Apart) -> Iterator[None]:
    yield
    eventually(lambda: service.health() == WELL, 10, "all is well again")


def away(server: Redis, health: Callable[[], None]) -> None:
    server.kill()
    time.sleep(AWAY / 2)
    health()
    time.sleep(AWAY / 2)
    server.start()


def hung(server: Redis, health: Callable[[], None]) -> None:
    assert server.process is not None
    with frozen(server.process.pid):
        time.sleep(AWAY / 2)
        health()
        time.sleep(AWAY / 2)


def full(server: Redis, health: Callable[[], None]) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1mb")
        time.sleep(AWAY / 2)
        health()
        time.sleep(AWAY / 2)
        client.config_set("maxmemory", "0")


@pytest.mark.parametrize(
    ("strike", "part"),
    [(away, "broker"), (hung, "broker"), (full, "broker"), (away, "cache"), (hung, "cache")],
)
def test_nobody_waits_and_nothing_is_lost(
    service: Apart, strike: Callable[[Redis, Callable[[], None]], None], part: str
) -> None:
    server = service.redis if part == "broker" else service.cache

    def health() -> None:
        assert service.health() == WELL | {"status": "degraded", part: "away"}
        saga_id = service.create()
        took.append(service.ends(saga_id, "completed", 20))

    took: list[float] = []
    with Buyers(service, threads=2) as buyers:
        strike(server, health)
    counts = buyers.counts()
    assert set(counts) == {201}
    assert max(took) < 15
    assert buyers.slowest(201) < 4
    assert buyers.broken_promises() == []


def test_every_key_may_be_deleted_at_any_time(service: Apart) -> None:
    with (
        redis.Redis.from_url(service.cache.url) as cache,
        redis.Redis.from_url(service.redis.url) as broker,
        Buyers(service) as buyers,
    ):
        until = time.monotonic() + AWAY
        while time.monotonic() < until:
            broker.flushall()
            cache.flushall()
            time.sleep(0.02)
    assert set(buyers.counts()) == {201}
    assert buyers.broken_promises() == []


def test_a_cache_under_pressure_evicts_and_no_message_is_touched(service: Apart) -> None:
    with (
        redis.Redis.from_url(service.cache.url) as cache,
        redis.Redis.from_url(service.redis.url) as broker,
    ):
        cache.config_set("maxmemory-policy", "allkeys-lru")
        cache.config_set("maxmemory", "4mb")
        with Buyers(service, threads=2) as buyers:
            for number in range(600):
                cache.set(f"pressure:{number}", b"x" * 20_000)
        assert cache.info("stats")["evicted_keys"] > 100
        assert broker.info("stats")["evicted_keys"] == 0
        assert list(cache.scan_iter("dramatiq*")) == []
        assert list(broker.scan_iter("saga-*")) == []
        assert buyers.broken_promises() == []
        assert service.health() == WELL
        cache.config_set("maxmemory", "0")
