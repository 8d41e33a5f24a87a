"""What ended is counted once, when its stretch of time is over."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import Sum
from dramatiq import Worker

from sagas import selectors, tally
from sagas.models import Saga, Tally
from sagas.tally import STRETCH, Tallying

pytestmark = pytest.mark.django_db

HOUR = 12
"""Stretches."""


def end(*minutes_ago: float, status: str = "completed", saga_type: str = "stage") -> None:
    now = selectors.database_now()
    for minutes in minutes_ago:
        at = now - timedelta(minutes=minutes)
        times = {"created_at": at, "started_at": at, "ended_at": at, "updated_at": at}
        Saga.objects.create(type=saga_type, definition_version=1, status=status, data={}, **times)


def tallied() -> int:
    return Tally.objects.aggregate(sum=Sum("number"))["sum"] or 0


def test_what_is_over_is_counted_and_what_is_not_is_counted_by_who_looks() -> None:
    end(0, 0.1, 20, 40, 40, 55 - 6)
    end(40, status="failed", saga_type="other")
    tally.catch_up()
    assert tallied() == 5
    ended = tally.ended(STRETCH, HOUR)
    assert ended.counts.total() == 7
    assert sum(n for (_, t, s), n in ended.counts.items() if (t, s) == ("other", "failed")) == 1
    assert not ended.behind


def test_counting_again_adds_nothing() -> None:
    end(20, 40)
    tally.catch_up()
    rows = list(Tally.objects.values_list("start", "type", "status", "number"))
    tally.catch_up()
    assert list(Tally.objects.values_list("start", "type", "status", "number")) == rows
    end(8)
    tally.catch_up()
    assert tallied() == 3


def test_a_stretch_starts_on_the_clock_and_holds_its_whole_length() -> None:
    now = int(selectors.database_now().timestamp())
    start = now // STRETCH * STRETCH - 3 * STRETCH
    for second in (start - 0.001, start, start + STRETCH - 0.001, start + STRETCH):
        at = datetime.fromtimestamp(second, UTC)
        times = {"created_at": at, "started_at": at, "ended_at": at, "updated_at": at}
        Saga.objects.create(type="t", definition_version=1, status="completed", data={}, **times)
    tally.catch_up()
    assert dict(Tally.objects.values_list("start", "number")) == {
        start - STRETCH: 1, start: 2, start + STRETCH: 1,
    }  # fmt: skip


def test_a_long_silence_is_stepped_over() -> None:
    end(7 * 1440, 3, 40)
    assert tally._go_on()
    assert tally._go_on()
    assert tallied() == 2


def test_what_nobody_has_counted_for_long_is_said_to_be_missing() -> None:
    end(50)
    ended = tally.ended(STRETCH, HOUR)
    assert (ended.counts.total(), ended.behind) == (0, True)
    Tallying().go_on()
    ended = tally.ended(STRETCH, HOUR)
    assert (ended.counts.total(), ended.behind) == (1, False)


def test_old_tallies_go() -> None:
    Tally.objects.create(start=0, type="t", status="failed", number=1)
    end(20)
    tally.catch_up()
    assert list(Tally.objects.values_list("type", flat=True)) == ["stage"]


def test_a_sweeper_that_has_counted_all_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "_REST", 0.3)
    tallying = Tallying()
    tallying.go_on()
    end(20)
    tallying.go_on()
    assert tallied() == 0
    time.sleep(0.35)
    tallying.go_on()
    assert tallied() == 1


@pytest.fixture
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "_REST", 0.05)


@pytest.mark.django_db(transaction=True)
def test_a_worker_counts(restless: None, worker: Worker) -> None:
    end(20)
    until = time.monotonic() + 10
    while not tallied():
        assert time.monotonic() < until
        time.sleep(0.05)
