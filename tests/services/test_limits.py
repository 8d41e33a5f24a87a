"""Counting within windows of time, in the cache that all processes share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import cache

from sagas import limits
from sagas.engine.away import cache_away

WINDOW = 60


@pytest.fixture(autouse=True)
def early_in_a_window(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    cache.clear()
    monkeypatch.setattr(limits, "time", lambda: 1_000_000 * WINDOW + 10.0)
    yield
    cache.clear()


def test_it_counts_up_and_anew_in_the_next_window(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [limits.count("x", WINDOW) for _ in range(3)] == [1, 2, 3]
    assert limits.count("y", WINDOW) == 1
    assert limits.left(WINDOW) == 50
    monkeypatch.setattr(limits, "time", lambda: 1_000_001 * WINDOW)
    assert limits.count("x", WINDOW) == 1


def test_what_is_counted_can_be_taken_back_and_forgotten() -> None:
    for _ in range(3):
        limits.count("x", WINDOW)
    limits.take_back("x", WINDOW)
    assert limits.count("x", WINDOW) == 3
    limits.forget("x", WINDOW)
    assert limits.count("x", WINDOW) == 1
    limits.forget("never counted", WINDOW)
    limits.take_back("never counted", WINDOW)


def test_a_cache_that_is_away_is_left_alone() -> None:
    limits.count("x", WINDOW)
    cache_away.note()
    assert limits.count("x", WINDOW) == 0
    limits.take_back("x", WINDOW)
    limits.forget("x", WINDOW)
    cache_away.forget()
    assert limits.count("x", WINDOW) == 2, "nothing was asked of it meanwhile"
