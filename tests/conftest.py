"""Fixtures for the tests of several folders."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.cache import cache
from django.test import TransactionTestCase, override_settings
from dramatiq import Worker

from executors.participants import participants
from executors.registry import registry
from sagas import runtime
from sagas.broker import broker
from sagas.engine.away import cache_away
from shop import Shop
from tests import emptying

NO_BROWSER = "browser tests skipped:"
NO_PROMETHEUS = "Prometheus tests skipped:"
QUICK = {
    "SAGA_RETRY": {"max_retries": 3, "delay": 0.02, "multiplier": 1, "max_delay": 1},
    "SAGA_CALL_TIMEOUT": 1,
    "SAGA_SWEEP_INTERVAL": 0.1,
}


def pytest_collection_finish() -> None:
    """What thousands of tests are made of stays: the collector need not look at it each time."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what there was not, also where skipped tests are not listed."""
    skipped = terminalreporter.getreports("skipped")
    reasons = {r.longrepr[2] for r in skipped if isinstance(r.longrepr, tuple)}
    told = (NO_BROWSER, NO_PROMETHEUS)
    for reason in sorted(reason for reason in reasons if any(each in reason for each in told)):
        terminalreporter.write_line(reason.removeprefix("Skipped: "), yellow=True)


@pytest.fixture(autouse=True, scope="session")
def emptied_quickly() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", emptying.empty)
        yield


@pytest.fixture(autouse=True)
def cache_is_well() -> None:
    """An earlier test may have found it away just now."""
    cache_away.forget()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """The participants, in this process, which the executors call; retries wait next to nothing."""
    with (
        Shop(tmp_path / "shop", ports={"inventory": 0, "payment": 0, "sales": 0}) as shop,
        override_settings(SAGA_PARTICIPANTS=shop.urls, **QUICK),
    ):
        begin_anew()
        yield shop
    begin_anew()


@pytest.fixture
def worker(shop: Shop, transactional_db: None) -> Iterator[Worker]:
    """A Dramatiq worker in this process that drives sagas against the shop."""
    worker = Worker(broker, worker_threads=4, worker_timeout=50)
    worker.start()
    yield worker
    worker.stop()


def begin_anew() -> None:
    """Forget what was made from other settings, and what Redis holds of earlier tests."""
    participants.cache_clear()
    runtime.engine.cache_clear()
    registry.load()
    cache.clear()
