"""Processes are told to stop, hang or die at work: what becomes of the sagas and the clients."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.acceptance.service import Service, children, eventually, frozen
from tests.free_port import free_port

pytestmark = [pytest.mark.xdist_group("acceptance"), pytest.mark.timeout(180)]

LEASE = 4.0
LATE = 77
"""The customer whose payments are late: sagas that earlier tests left are not theirs."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    quick = {
        "SAGA_LEASE_MS": str(int(LEASE * 1000)),
        "SAGA_CALL_TIMEOUT_MS": "3000",
        "SAGA_SWEEP_INTERVAL_MS": "300",
        "SAGA_API_PROCESSES": "1",
        "SAGA_FAILURE_THRESHOLD": "1000",
    }
    with Service(tmp_path_factory.mktemp("lifecycle"), free_port(), **quick) as running:
        running.start_api()
        yield running


@pytest.fixture(autouse=True)
def anew(service: Service) -> Iterator[None]:
    yield
    for url in service.shop.urls.values():
        service.http.delete(f"{url}/faults")
    for process in service.processes[2:]:  # not the migration, not the API
        service.end(process)


def late(service: Service, seconds: float) -> None:
    """Four payments of that customer are made, and answered too late."""
    switch = {"fault": "late", "seconds": seconds, "times": 4, "match": {"customer_id": LATE}}
    service.fault("payment", step="process_payment", **switch)


def paying(service: Service, ids: list[str], number: int | None = None) -> None:
    """Wait until the payment of all, or of that many, is called."""

    def called(saga_id: str) -> bool:
        return bool(service.get(f"/{saga_id}")["current_step"] == "process_payment")

    wanted = len(ids) if number is None else number
    eventually(lambda: sum(map(called, ids)) >= wanted, 20, "the payments are called")


@pytest.mark.parametrize("signals", [[signal.SIGTERM] * 2, [signal.SIGINT, signal.SIGHUP]])
def test_sagas_in_flight_are_handed_back(service: Service, signals: list[signal.Signals]) -> None:
    worker = service.start_worker()
    # Answered one after the other: each of the threads is waited for.
    for customer in range(8):
        how = {
            "fault": "delay",
            "seconds": 1.2 + customer / 5,
            "match": {"customer_id": customer + 1},
        }
        service.fault("payment", step="process_payment", **how)
    ids = [service.create(customer_id=customer + 1) for customer in range(8)]
    paying(service, ids)
    for number in signals:
        worker.send_signal(number)
        time.sleep(0.1)
    assert worker.wait(LEASE + 5) == 0
    assert [service.kinds(i)[-1] for i in ids] == ["handed_back"] * 8
    service.start_worker()
    for saga_id in ids:
        service.ends(saga_id, "completed")
        assert [step["attempts"] for step in service.get(f"/{saga_id}")["steps"]] == [1] * 5
    assert service.broken(*ids) == []


def test_a_grace_that_is_too_short_costs_an_attempt_and_no_more(service: Service) -> None:
    worker = service.start_worker()
    late(service, seconds=30)
    ids = [service.create(customer_id=LATE) for _ in range(4)]
    paying(service, ids)
    successor = service.start_worker()
    worker.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    service.kill(worker)
    for saga_id in ids:
        service.ends(saga_id, "completed")
    assert "attempt_interrupted" in service.kinds(ids[0])
    assert service.broken(*ids) == []
    assert successor.poll() is None


def test_a_worker_ends_although_servers_are_away(service: Service) -> None:
    worker = service.start_worker()
    service.ends(service.create(), "completed")
    service.fault("payment", step="process_payment", fault="delay", seconds=1)
    ids = [service.create() for _ in range(12)]
    paying(service, ids, 6)
    service.redis.kill()
    time.sleep(1.5)  # the sweeper drives some of them
    service.postgres.kill()
    told = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    try:
        code = worker.wait(30)
    finally:
        service.postgres.start()
        service.redis.start()
    assert code == 0
    assert time.monotonic() - told < LEASE + 6
    service.start_worker()
    for saga_id in ids:
        service.ends(saga_id, "completed")
    assert service.broken(*ids) == []


def test_a_worker_that_sleeps_past_its_lease_changes_nothing_and_goes_on(
    service: Service,
) -> None:
    worker = service.start_worker()
    late(service, seconds=1)
    ids = [service.create(customer_id=LATE) for _ in range(4)]
    paying(service, ids)
    [process] = children(worker.pid)
    with frozen(process):
        successor = service.start_worker()
        for saga_id in ids:
            service.ends(saga_id, "completed")
        service.end(successor)
        before = [service.get(f"/{i}/events") for i in ids]
    time.sleep(1)
    assert [service.get(f"/{i}/events") for i in ids] == before
    assert children(worker.pid) == [process]
    new = service.create()
    service.ends(new, "completed")
    actors = {event["actor"].split(":")[1] for event in service.get(f"/{new}/events")[2:]}
    assert actors == {str(process)}
    assert service.broken(*ids, new) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_clients_that_wait_are_answered_when_the_api_is_told_to_stop(
    service: Service, number: signal.Signals
) -> None:
    ids = [service.create(execute=False) for _ in range(3)]
    # No worker runs: nothing ends.
    with ThreadPoolExecutor(3) as pool:
        asked = time.monotonic()
        waits = [pool.submit(wait_for, service, saga_id) for saga_id in ids]
        time.sleep(1)
        api = service.processes[1]
        api.send_signal(number)
        answers = [wait.result() for wait in waits]
        took = time.monotonic() - asked
    assert [answer.status_code for answer in answers] == [202] * 3
    assert took < 8
    if number is signal.SIGTERM:
        assert api.wait(20) == 0
        service.processes[1] = service.start_api()
        service.processes.pop()
    eventually(service.ready, 20, "it serves again")


def wait_for(service: Service, saga_id: str) -> requests.Response:
    url = f"{service.url}/api/v1/sagas/{saga_id}/execute"
    return requests.post(url, headers={"Prefer": "wait=50"}, timeout=60)


def test_the_group_ends_with_its_supervisor(service: Service) -> None:
    worker = service.start_worker()
    eventually(lambda: len(children(worker.pid)) == 1, 20, "it works")
    service.ends(service.create(), "completed")
    [process] = children(worker.pid)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    eventually(lambda: not os.path.exists(f"/proc/{process}"), LEASE + 5, "it has ended too")


def test_a_saga_whose_code_was_taken_away_waits_for_it(service: Service) -> None:
    """A deployment without a saga type that has sagas in flight, and one that brings it back."""
    without = {"SAGA_EXECUTORS": "executors.returns", "SAGA_PARK_MS": "500"}
    newer = service.start_worker(**without)
    saga_id = service.create()
    unknown = "no code here knows version 1 of 'purchase_saga'"
    eventually(lambda: service.get(f"/{saga_id}")["waiting"] == unknown, 20, "it is parked")
    assert service.status(saga_id) == "in_progress"
    service.end(newer)
    service.start_worker()
    service.ends(saga_id, "completed")
    assert [step["attempts"] for step in service.get(f"/{saga_id}")["steps"]] == [1] * 5
    assert service.broken(saga_id) == []
