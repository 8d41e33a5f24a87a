"""What time, or a person, does to a saga in the midst of it, on real processes."""

import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from tests.acceptance.service import Service
from tests.free_port import free_port

pytestmark = [pytest.mark.xdist_group("acceptance"), pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    env = {
        "SAGA_API_PROCESSES": "1",
        "SAGA_SWEEP_INTERVAL_MS": "300",
        "SAGA_RETRY_DELAY_MS": "500",
        "SAGA_FAILURE_THRESHOLD": "1000",
        "SAGA_EXECUTORS": "executors.purchase,tests.acceptance.hurried",
    }
    with Service(tmp_path_factory.mktemp("deadlines"), free_port(), **env) as running:
        running.start_api()
        running.start_worker()
        running.ends(running.create(), "completed")
        yield running


@pytest.fixture(autouse=True)
def no_faults(service: Service) -> Iterator[None]:
    yield
    for url in service.shop.urls.values():
        service.http.delete(f"{url}/faults")


def calls(service: Service, saga_id: str) -> list[str]:
    """Steps that the participants were called for, in order of the attempts."""
    events = service.get(f"/{saga_id}/events")
    return [f"{e['step']} {e['data']['call']}" for e in events if e["kind"] == "attempt_started"]


def turned_after(service: Service, saga_id: str) -> float:
    """Seconds from execute to the turn."""
    at = {e["kind"]: datetime.fromisoformat(e["at"]) for e in service.get(f"/{saga_id}/events")}
    return (at["compensation_triggered"] - at["execute_requested"]).total_seconds()


def kept(service: Service, saga_id: str) -> list[str]:
    return service.broken(saga_id)


def test_a_deadline_ends_a_wait(service: Service) -> None:
    service.fault("payment", step="process_payment", fault="error", retry_after="60")
    saga_id = service.create(saga_type="hurried_purchase")
    service.ends(saga_id, "compensated")
    assert "deadline" in service.get(f"/{saga_id}")["reason"]
    assert 0.9 < turned_after(service, saga_id) < 10
    assert "create_sale action" not in calls(service, saga_id)
    assert kept(service, saga_id) == []


def test_a_deadline_lets_the_call_in_flight_end(service: Service) -> None:
    service.fault("payment", step="process_payment", fault="delay", seconds=2)
    saga_id = service.create(saga_type="hurried_purchase")
    service.ends(saga_id, "compensated")
    assert turned_after(service, saga_id) > 1.9
    assert calls(service, saga_id)[2:] == [
        "process_payment action",
        "process_payment compensation",
        "reserve_inventory compensation",
    ]
    assert kept(service, saga_id) == []


def test_a_deadline_stops_no_compensation(service: Service) -> None:
    service.fault("payment", step="process_payment", fault="decline")
    service.fault("inventory", step="release_inventory", fault="error", times=2)
    saga_id = service.create(saga_type="hurried_purchase")
    service.ends(saga_id, "compensated")
    assert calls(service, saga_id).count("reserve_inventory compensation") == 3
    events = service.get(f"/{saga_id}/events")
    last, first = (datetime.fromisoformat(events[n]["at"]) for n in (-1, 0))
    assert (last - first).total_seconds() > 1, "it was done before the deadline"
    assert kept(service, saga_id) == []


def test_who_compensates_lets_the_call_in_flight_end_too(service: Service) -> None:
    service.fault("payment", step="process_payment", fault="delay", seconds=1.5)
    saga_id = service.create()
    until = time.monotonic() + 20
    while service.get(f"/{saga_id}")["current_step"] != "process_payment":
        assert time.monotonic() < until
    assert service.post(f"{saga_id}/compensate").json()["status"] == "in_progress"
    service.ends(saga_id, "compensated")
    assert calls(service, saga_id)[2:] == [
        "process_payment action",
        "process_payment compensation",
        "reserve_inventory compensation",
    ]
    kinds = service.kinds(saga_id)
    assert kinds.index("compensate_requested") < kinds.index("compensation_triggered")
    assert kept(service, saga_id) == []
