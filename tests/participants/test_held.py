"""Many sagas that wait for one open breaker, driven by several workers."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from dramatiq import Worker

from executors.participants import participants
from sagas import selectors, services
from sagas.broker import broker
from sagas.models import Saga, SagaEvent
from shop import Shop
from tests.participants.stage import Stage, changed
from tests.shop.client import request

SAGAS, WORKERS = 50, 4
RECOVERY = 0.8
BREAKER = {"threshold": 5, "window": 30, "recovery": RECOVERY}
PATIENT = changed(max_retries=30)


@pytest.fixture
def fleet(shop: Shop, transactional_db: None) -> Iterator[Stage]:
    """A stage with a breaker that opens, and workers."""
    with closing(Stage(shop, breaker=BREAKER)) as stage:
        worker = Worker(broker, worker_threads=WORKERS, worker_timeout=50)
        worker.start()
        yield stage
        worker.stop()


def calls(stage: Stage) -> list[dict[str, Any]]:
    """All calls of the payment service, in the order in which they arrived."""
    found: list[dict[str, Any]] = stage.caller.get("payment", "/ledger")["entries"]
    return found


def held() -> list[SagaEvent]:
    return list(SagaEvent.objects.filter(kind="attempt_held").order_by("at"))


def wait_for(count: int, status: str, seconds: float) -> None:
    until = time.monotonic() + seconds
    while (found := Saga.objects.filter(status=status).count()) < count:
        assert time.monotonic() < until, f"{found} of {count} are {status}"
        time.sleep(0.05)


def gaps(arrived: list[dict[str, Any]]) -> list[float]:
    times = [datetime.fromisoformat(call["at"]) for call in arrived]
    return [(after - before).total_seconds() for before, after in pairwise(times)]


def open_breaker(stage: Stage) -> None:
    """Have one saga fail until it is held."""
    stage.odd("shop", "error", "action", status=503, times=5)
    saga_id = stage.buy(PATIENT)
    for _ in range(6):
        stage.drive(saga_id)
        stage.wait_until_due(saga_id, most=0.2)
    assert services.get_saga(saga_id).waiting


def test_sagas_that_were_held_all_go_on_with_their_attempts_unspent(fleet):
    fleet.odd("shop", "error", "action", status=503)
    sagas = [fleet.buy(PATIENT) for _ in range(SAGAS)]
    time.sleep(RECOVERY * 3.5)
    waiting = Saga.objects.filter(waiting="the circuit breaker of 'payment' is open").count()
    before = calls(fleet)
    fleet.mend()
    wait_for(SAGAS, "completed", 30)

    # While it was open nothing arrived, and after each open time one probe.
    in_flight = WORKERS - 1
    assert 5 <= len(before) <= 5 + in_flight + 4
    assert all(gap >= RECOVERY - 0.05 for gap in gaps(before[5 + in_flight :]))
    assert waiting > SAGAS / 2

    # An attempt that was held is not counted: attempts are the calls that arrived.
    arrived = Counter(call["saga_id"] for call in calls(fleet))
    for saga_id in sagas:
        (step,) = services.get_saga(saga_id).steps.filter(name="process_payment")
        assert step.attempts == arrived[str(saga_id)]
        fleet.check(saga_id)
    assert len({event.saga_id for event in held()}) > SAGAS / 2
    assert fleet.caller.state("payment")["net"] == f"{59.98 * SAGAS:.2f}"
    assert request(fleet.shop.urls["sales"], "GET", "/state").body["open"] == SAGAS


def test_waits_end_when_the_breaker_may_close_and_are_spread_from_there_on(shop, db):
    with closing(Stage(shop, breaker=BREAKER | {"recovery": 30})) as stage:
        open_breaker(stage)
        left = participants().get("payment").breaker.enter().wait
        assert left is not None
        closes = selectors.database_now() + left
        sagas = [stage.buy(PATIENT) for _ in range(30)]
        for saga_id in sagas:
            stage.drive(saga_id)
        waits = [services.get_saga(saga_id).due_at - closes for saga_id in sagas]  # type: ignore[operator]
    assert min(waits) > -timedelta(seconds=0.1)
    assert max(waits) < timedelta(seconds=30 * 0.1 + 1)
    assert max(waits) - min(waits) > timedelta(seconds=1)


def test_a_saga_that_is_to_be_compensated_does_not_wait_for_the_breaker(shop, db):
    """What it has done is taken back at once, where that needs nobody whose breaker is open."""
    with closing(Stage(shop, breaker=BREAKER | {"recovery": 30})) as stage:
        open_breaker(stage)
        saga_id = stage.buy()
        stage.drive(saga_id)
        (event,) = stage.events(saga_id)
        assert event.kind == "attempt_held"
        services.compensate(saga_id, actor="test")
        saga = stage.run(saga_id)
        assert saga.status == "compensated"
        assert stage.ledger(saga_id) == []
        stage.check(saga_id)
