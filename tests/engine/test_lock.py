"""The lock in front of the lease: one at a time, never for ever, and never the only guard."""

from __future__ import annotations

import time
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import override_settings

from sagas.domain.state import SagaStatus
from sagas.engine.lock import break_lock, saga_lock
from tests.api.client import on_servers
from tests.engine.stage import Stage, kinds, state_of

NOWHERE = "redis://127.0.0.1:1/0"


def test_one_has_it_at_a_time() -> None:
    saga_id = uuid4()
    with saga_lock(saga_id, 60) as first:
        with saga_lock(saga_id, 60) as second, saga_lock(uuid4(), 60) as other:
            assert (first, second, other) == (True, False, True)
        with saga_lock(saga_id, 60) as third:
            assert not third, "who did not get it does not release it"
    with saga_lock(saga_id, 60) as again:
        assert again


def test_it_ends_by_itself() -> None:
    saga_id = uuid4()
    with saga_lock(saga_id, 0.2):
        time.sleep(0.3)
        with saga_lock(saga_id, 60) as successor:
            assert successor


def test_one_that_expired_and_is_another_s_now_is_left_to_it() -> None:
    saga_id = uuid4()
    with saga_lock(saga_id, 60):
        cache.set(f"saga-lock:{saga_id}", "another's", timeout=60)
    with saga_lock(saga_id, 60) as mine:
        assert not mine


def test_it_can_be_broken() -> None:
    saga_id = uuid4()
    with saga_lock(saga_id, 60):
        break_lock(saga_id)
        with saga_lock(saga_id, 60) as mine:
            assert mine


@on_servers
def test_without_the_cache_nobody_is_kept_away() -> None:
    away = {"default": {**settings.CACHES["default"], "LOCATION": NOWHERE}}
    with override_settings(CACHES=away):
        for _ in range(2):  # the second time it is known to be away
            with saga_lock(uuid4(), 60) as mine:
                assert mine
        break_lock(uuid4())


@pytest.mark.django_db(transaction=True)
def test_a_saga_that_another_may_be_claiming_is_left_to_it() -> None:
    stage = Stage()
    saga_id = stage.create()
    with saga_lock(saga_id, 60):
        stage.engine().drive(saga_id)
        assert kinds(saga_id)[-1] == "execute_requested"
    stage.engine().drive(saga_id)
    assert state_of(saga_id).status is SagaStatus.COMPLETED
