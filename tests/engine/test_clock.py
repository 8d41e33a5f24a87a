"""Leases and waits are measured by the database's clock, and between reads by the monotonic one."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import pytest
from django.db import connection

from sagas import selectors
from sagas.engine import store
from tests.engine.stage import Stage, asked

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_read_brings_the_database_s_time_along() -> None:
    saga_id = Stage().create()
    with asked() as statements:
        loaded = store.load(saga_id)
    clock = "TIMESTAMP" if connection.vendor == "postgresql" else "STRFTIME"
    assert clock in statements[0].upper()
    assert abs(loaded.read_at - selectors.database_now()) < timedelta(seconds=5)


def test_this_machine_s_clock_may_jump(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = store.load(Stage().create())
    before = loaded.now()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert timedelta(0) <= loaded.now() - before < timedelta(seconds=5)
    tick = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: tick + 3600)
    later = loaded.now() - before
    assert timedelta(minutes=59) < later < timedelta(minutes=61)
    assert isinstance(before, datetime)
