"""The service as a whole, on real processes: what the README promises of it."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.acceptance.service import Service, children, eventually
from tests.free_port import free_port
from tests.traces import Collector, Sent, proxies, sent, tree

pytestmark = [pytest.mark.xdist_group("acceptance"), pytest.mark.timeout(180)]

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLS = 3  # the kind of a span that is a call


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
    money, counters = _money(service), _counters(service)

    def buy(index: int) -> str:
        return service.create(customer_id=5 if index % 5 == 0 else 1)

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(buy, range(number // 2)))
        service.kill(workers[0])
        killed_at = time.monotonic()
        ids += list(pool.map(buy, range(number // 2, number)))
    assert service.count("in_progress") > 0, "all done before the kill struck"
    eventually(lambda: service.count("in_progress") == 0, 60, "no saga is in progress")
    # The lease, a sweep, and the rest of the work.
    assert time.monotonic() - killed_at < 40

    statuses = {saga_id: service.get(f"/{saga_id}")["status"] for saga_id in ids}
    assert Counter(statuses.values()) == {"completed": number - declined, "compensated": declined}
    found = service.verify()
    assert found["violations"] == []
    assert found["checked"]["1"]["checks"] >= 5 * (number - declined)
    assert _money(service) - money == Decimal("59.98") * (number - declined)
    counted = [after - before for after, before in zip(_counters(service), counters, strict=True)]
    assert counted[0] == number
    # A killed process may have lost what it had not counted yet: at most one saga a thread.
    for value, expected in zip(counted[1:], (number - declined, declined, declined), strict=True):
        assert expected - 8 <= value <= expected
    service.end(workers[1])


def _money(service: Service) -> Decimal:
    """What the shop's payment service has taken and not given back."""
    return Decimal(service.http.get(f"{service.shop.urls['payment']}/state").json()["net"])


def _counters(service: Service) -> list[float]:
    """Purchases created, completed, failed going forward, and compensations, by any process."""
    names = (
        'saga_total{status="pending",type="purchase_saga"}',
        'saga_total{status="completed",type="purchase_saga"}',
        'saga_failures_total{type="purchase_saga"}',
        'saga_compensations_total{type="purchase_saga"}',
    )
    return [service.metric(name) for name in names]


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
    assert service.verify()["violations"] == []
    retried = service.post(f"{saga_id}/retry", Prefer="wait=30").json()
    assert (retried["status"], retried["run"]) == ("completed", 2)
    assert service.verify()["violations"] == []
    service.end(worker)


def test_a_saga_of_a_killed_worker_goes_on_within_ten_seconds(service: Service) -> None:
    assert killed_in_a_call(service)[1] < timedelta(seconds=10)


def test_on_postgresql_it_goes_on_within_moments(service: Service) -> None:
    """Those who have run for a lease know at once who is gone. Of all that, it is one trace."""
    service.fault("sales", step="create_sale", fault="decline", match={"customer_id": 7})
    with Collector() as collector, proxies(service.shop.urls) as through:
        env = {f"PARTICIPANT_{name.upper()}_URL": proxy.url for name, proxy in through.items()}
        env |= {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        saga_id, took = killed_in_a_call(
            service,
            run_before=9,
            ready=lambda saga_id: len(collector.of(saga_id)) == 2,
            ends="compensated",
            customer_id=7,
            headers={"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "rojo=1"},
            **env,
        )
        assert took < timedelta(seconds=4), "a lease is 7 s"
        one_trace(saga_id, sent(through.values(), saga_id), collector.of(saga_id))


def one_trace(saga_id: str, calls: list[dict[str, str]], spans: list[Sent]) -> None:
    """What participants were told, and the collector of both workers, is one tree."""
    parts = [call["traceparent"].split("-") for call in calls]
    assert {(version, trace, flags) for version, trace, _, flags in parts} == {("00", TRACE, "01")}
    assert {call["tracestate"] for call in calls} == {"rojo=1"}
    attempts = sorted(span.id for span in spans if span.kind == CALLS)
    assert sorted(span for _, _, span, _ in parts) == attempts
    assert {span.trace_id for span in spans} == {TRACE}
    run = tree(spans, parent=SPAN)
    assert (run.name, run.attributes["saga.status"]) == ("purchase_saga", "compensated")
    assert len(spans) == len(attempts) + 1
    in_order = sorted((span for span in spans if span is not run), key=lambda span: span.start)
    assert [(s.name, s.attributes["saga.outcome"], s.events) for s in in_order] == [
        ("validate_inventory", "succeeded", []),
        ("reserve_inventory", "succeeded", []),
        ("process_payment", "interrupted", ["in doubt", "retry"]),
        ("process_payment", "succeeded", []),
        ("create_sale", "refused", ["compensation triggered"]),
        ("process_payment compensation", "succeeded", []),
        ("reserve_inventory compensation", "succeeded", []),
    ]


def killed_in_a_call(
    service: Service,
    *,
    run_before: float = 0,
    ready: Callable[[str], bool] = lambda saga_id: True,
    ends: str = "completed",
    customer_id: int = 123,
    headers: dict[str, str] | None = None,
    **env: str,
) -> tuple[str, timedelta]:
    """A saga, and the time from kill -9 of one of two workers to the next attempt of its call."""
    workers = {p.pid: p for p in (service.start_worker(**env) for _ in range(2))}
    warm_up = service.create(execute=False)
    assert service.post(f"{warm_up}/execute", Prefer="wait=30").ok
    time.sleep(run_before)
    service.fault("payment", step="process_payment", fault="hang", seconds=60, times=1)
    saga_id = service.create(customer_id=customer_id, headers=headers)
    eventually(
        lambda: service.get(f"/{saga_id}")["current_step"] == "process_payment" and ready(saga_id),
        20,
        "the payment is called",
    )
    # The one that has the saga; its name holds its process id.
    owner = service.get(f"/{saga_id}/events")[-1]["actor"].split(":")[1]
    service.kill(workers[os.getpgid(int(owner))])
    killed_at = datetime.now(UTC)
    service.ends(saga_id, ends)
    events = service.get(f"/{saga_id}/events")
    [again] = [e for e in events if e["kind"] == "attempt_started" and e["data"]["attempt"] == 2]
    assert again["step"] == "process_payment"
    assert service.verify()["violations"] == []
    for process in workers.values():
        process.terminate()
    for process in workers.values():
        process.wait(20)
    return saga_id, datetime.fromisoformat(again["at"]) - killed_at


def test_a_process_that_dies_is_started_again_and_takes_no_other_with_it(
    service: Service,
) -> None:
    worker = service.start_worker(SAGA_WORKER_PROCESSES="2")
    eventually(lambda: len(children(worker.pid)) == 2, 20, "two processes")
    first, second = children(worker.pid)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: len(set(children(worker.pid)) - {first}) == 2, 20, "another took its place")
    assert second in children(worker.pid)
    assert worker.poll() is None
    saga_id = service.create(execute=False)
    assert service.post(f"{saga_id}/execute", Prefer="wait=30").json()["status"] == "completed"
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(15) == 0


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
    service.end(fresh)


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
    service.end(worker)
