"""The service as a whole, on real processes: what the README promises of it."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.acceptance.promises import broken_promises
from tests.acceptance.service import Service, eventually
from tests.free_port import free_port

pytestmark = [pytest.mark.xdist_group("acceptance"), pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("service")
    with Service(folder, free_port()) as running:
        running.start_api()
        yield running


@pytest.fixture(autouse=True)
def no_faults(service: Service) -> Iterator[None]:
    yield
    for url in service.shop.urls.values():
        service.http.delete(f"{url}/faults")


def test_two_hundred_purchases_by_two_workers_of_which_one_is_killed(service: Service) -> None:
    workers = [service.start_worker() for _ in range(2)]
    service.fault("payment", step="process_payment", fault="decline", match={"customer_id": 5})
    number, declined = 200, 40

    def buy(index: int) -> str:
        return service.create(customer_id=5 if index % 5 == 0 else 1)

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(buy, range(number // 2)))
        service.kill(workers[0])
        killed_at = time.monotonic()
        ids += list(pool.map(buy, range(number // 2, number)))
    assert service.count("completed") < number, "all done before the kill struck"
    eventually(lambda: service.count("in_progress") == 0, 60, "no saga is in progress")
    # The lease of 8 s, a sweep, and the rest of the work.
    assert time.monotonic() - killed_at < 40
    assert service.count("completed") == number - declined
    assert service.count("compensated") == declined

    statuses = {saga_id: service.get(f"/{saga_id}")["status"] for saga_id in ids}
    assert broken_promises(service.ledger(), statuses) == []
    money = service.http.get(f"{service.shop.urls['payment']}/state").json()
    assert money["net"] == f"{59.98 * (number - declined):.2f}"
    _metrics_agree(service, number, declined)
    service.kill(workers[1])


def _metrics_agree(service: Service, number: int, declined: int) -> None:
    """Every process has counted; the killed one may have lost what it did not count yet."""
    counted = service.metric('saga_total{status="pending",type="purchase_saga"}')
    assert counted == number
    completed = service.metric('saga_total{status="completed",type="purchase_saga"}')
    assert number - declined - 8 <= completed <= number - declined
    assert service.metric('saga_failures_total{type="purchase_saga"}') >= declined - 8
    assert service.metric('saga_compensations_total{type="purchase_saga"}') >= declined - 8


def test_a_client_may_wait_for_the_end(service: Service) -> None:
    worker = service.start_worker()
    saga_id = service.create(execute=False)
    answer = service.post(f"{saga_id}/execute", Prefer="wait=30")
    assert answer.status_code == 200
    assert answer.json()["status"] == "completed"
    again = service.post(f"{saga_id}/execute")
    assert again.status_code == 409
    assert again.json()["allowed_operations"] == ["compensate"]
    undone = service.post(f"{saga_id}/compensate", Prefer="wait=30").json()
    assert undone["status"] == "compensated"
    assert broken_promises(service.ledger(), {saga_id: "compensated"}) == []
    retried = service.post(f"{saga_id}/retry", Prefer="wait=30").json()
    assert (retried["status"], retried["run"]) == ("completed", 2)
    service.kill(worker)


def test_a_saga_of_a_killed_worker_goes_on_within_ten_seconds(service: Service) -> None:
    worker = service.start_worker()
    other = service.start_worker()
    for process in (worker, other):
        assert process.poll() is None
    service.fault("payment", step="process_payment", fault="hang", seconds=60, times=1)
    saga_id = service.create()
    eventually(
        lambda: service.get(f"/{saga_id}")["current_step"] == "process_payment",
        20,
        "the payment is called",
    )
    for process in (worker, other):
        service.kill(process)
    killed_at = time.monotonic()
    fresh = service.start_worker()
    eventually(lambda: service.get(f"/{saga_id}")["status"] == "completed", 20, "it completed")
    assert time.monotonic() - killed_at < 12, "the lease of 8 s, a sweep, and a start"
    payment = next(s for s in service.get(f"/{saga_id}")["steps"] if s["name"] == "process_payment")
    assert payment["attempts"] == 2
    assert broken_promises(service.ledger(), {saga_id: "completed"}) == []
    service.kill(fresh)


def test_a_worker_that_is_told_to_stop_hands_its_saga_back(service: Service) -> None:
    worker = service.start_worker()
    service.fault("payment", step="process_payment", fault="delay", seconds=2, times=1)
    saga_id = service.create()
    eventually(
        lambda: service.get(f"/{saga_id}")["current_step"] == "process_payment",
        20,
        "the payment is called",
    )
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(15) == 0
    saga = service.get(f"/{saga_id}")
    assert saga["status"] == "in_progress"
    kinds = [event["kind"] for event in service.get(f"/{saga_id}/events")]
    assert kinds[-1] == "handed_back"
    fresh = service.start_worker()
    eventually(lambda: service.get(f"/{saga_id}")["status"] == "completed", 20, "it completed")
    attempts = [step["attempts"] for step in service.get(f"/{saga_id}")["steps"]]
    assert attempts == [1, 1, 1, 1, 1]
    service.kill(fresh)


def test_sagas_run_while_redis_is_away(service: Service) -> None:
    worker = service.start_worker()
    warm_up = service.create(execute=False)
    assert service.post(f"{warm_up}/execute", Prefer="wait=30").status_code == 200
    service.redis.stop()
    try:
        saga_id = service.create()
        eventually(lambda: service.get(f"/{saga_id}")["status"] == "completed", 30, "it completed")
        assert service.http.get(f"{service.url}/health/ready").json()["status"] == "degraded"
    finally:
        service.redis.restart()
    after = service.create(execute=False)
    assert service.post(f"{after}/execute", Prefer="wait=30").json()["status"] == "completed"
    service.kill(worker)
