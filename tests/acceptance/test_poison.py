"""Sagas that harm their worker are stopped as failed, and others go on meanwhile."""

import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from tests.acceptance.service import Service, children, eventually
from tests.free_port import free_port

pytestmark = [pytest.mark.xdist_group("degraded"), pytest.mark.timeout(180)]

BROKEN = {
    "raises": "a bug",
    "recurses": "RecursionError",
    "nonsense": "not a Request",
    "gluttonous": "MemoryError",
    "exits": "SystemExit",
}
VANISHING = ("exits_at_once", "kills", "sleeps")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    quick = {
        "SAGA_LEASE_MS": "3000",
        "SAGA_CALL_TIMEOUT_MS": "2000",
        "SAGA_SWEEP_INTERVAL_MS": "300",
        "SAGA_PARK_MS": "500",
        "SAGA_API_PROCESSES": "1",
        "SAGA_WORKER_PROCESSES": "2",
        "SAGA_EXECUTORS": "executors.purchase,tests.acceptance.poison",
        "LOG_LEVEL": "error",
    }
    with Service(tmp_path_factory.mktemp("poison"), free_port(), **quick) as running:
        running.start_api()
        running.start_worker()
        running.ends(running.create(), "completed")
        yield running


def buy(service: Service, number: int) -> list[float]:
    """Seconds that each of some purchases took, from execute to end."""
    ids = []
    for _ in range(number):
        ids.append(service.create())
        time.sleep(0.1)
    for saga_id in ids:
        service.ends(saga_id, "completed", 40)
    assert service.broken(*ids) == []
    return [took(service, saga_id) for saga_id in ids]


def took(service: Service, saga_id: str) -> float:
    saga = service.get(f"/{saga_id}")
    started, ended = (datetime.fromisoformat(saga[name]) for name in ("created_at", "updated_at"))
    return (ended - started).total_seconds()


@pytest.mark.parametrize("kind", BROKEN)
def test_what_a_method_does_wrong_is_the_reason(service: Service, kind: str) -> None:
    saga_id = service.create(saga_type=kind)
    service.ends(saga_id, "failed", 20)
    assert BROKEN[kind] in service.get(f"/{saga_id}")["reason"]


def test_what_takes_the_worker_along_is_stopped_after_a_few_times(service: Service) -> None:
    [supervisor] = service.processes[2:]
    before = children(supervisor.pid)
    poison = {kind: service.create(saga_type=kind) for kind in VANISHING}
    meanwhile = buy(service, 20)
    for kind, saga_id in poison.items():
        service.ends(saga_id, "failed", 60)
        saga = service.get(f"/{saga_id}")
        assert "vanished 3 times" in saga["reason"], kind
        assert service.kinds(saga_id).count("claimed") == 4, "the last one stopped it"
    assert supervisor.poll() is None
    eventually(lambda: len(children(supervisor.pid)) == 2, 20, "both processes run")
    assert children(supervisor.pid) != before, "nothing died"
    assert max(meanwhile) < 40
    # Who was in the same process as it died waits for the lease; nobody for all the poison.
    assert max(buy(service, 5)) < 5


def test_a_row_that_cannot_be_read_is_stopped(service: Service) -> None:
    saga_id = service.create(execute=False)
    service.sql(f"update sagas_sagastep set effect = 'bogus' where saga_id = '{saga_id}'")
    due = "status = 'in_progress', due_at = now()"
    service.sql(f"update sagas_saga set {due} where id = '{saga_id}'")
    row = f"select status, reason from sagas_saga where id = '{saga_id}'"
    try:
        eventually(lambda: service.sql(row)[0][0] == "failed", 30, "it is stopped")
        assert "'bogus' is not a valid Effect" in service.sql(row)[0][1]
        assert max(buy(service, 3)) < 5
    finally:
        service.sql(f"update sagas_sagastep set effect = 'none' where saga_id = '{saga_id}'")
