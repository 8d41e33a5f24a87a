"""Fixtures for the tests of several folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.cache import cache
from django.test import override_settings
from dramatiq import Worker

from executors.participants import participants
from executors.registry import registry
from sagas import runtime
from sagas.broker import broker
from shop import Shop

QUICK = {
    "SAGA_RETRY": {"max_retries": 3, "delay": 0.02, "multiplier": 1, "max_delay": 1},
    "SAGA_CALL_TIMEOUT": 1,
    "SAGA_SWEEP_INTERVAL": 0.1,
}


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
