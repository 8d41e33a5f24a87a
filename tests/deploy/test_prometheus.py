"""What Prometheus and the dashboards show of a running service is what its database holds."""

from __future__ import annotations

import math
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator

import pytest
import requests

from tests.acceptance.service import Service, children, eventually
from tests.deploy.dashboards import names, queries
from tests.deploy.prometheus import Prometheus, program
from tests.free_port import free_port

pytestmark = [pytest.mark.xdist_group("degraded"), pytest.mark.timeout(180)]

QUICK = {
    "SAGA_RETRY_DELAY_MS": "100",
    "SAGA_MAX_RETRIES": "1",
    "SAGA_FAILURE_THRESHOLD": "2",
    "SAGA_RECOVERY_TIMEOUT_MS": "300000",
    "SAGA_API_PROCESSES": "2",
    "SAGA_WORKER_PROCESSES": "2",
}
DECLINED = 5
"""A customer whose payment is refused."""


class Observed:
    """A service of two API instances and a worker, all scraped; sagas of every outcome."""

    def __init__(self, service: Service, prometheus: Prometheus, worker: int, targets: list[str]):
        self.service = service
        self.prometheus = prometheus
        self.worker = worker
        """The process id of the supervisor."""

        self.targets = targets
        self.killed: list[int] = []

    def truth(self) -> Counter[tuple[str, str]]:
        """Sagas by type and status."""
        rows = self.service.sql("SELECT type, status, count(*) FROM sagas_saga GROUP BY 1, 2")
        return Counter({(saga_type, status): number for saga_type, status, number in rows})

    def counted(self) -> dict[tuple[str, ...], float]:
        """How often a status was reached, of all instances."""
        return self.prometheus.values("sum by (type, status) (saga_total)", "type", "status")

    def kill_workers(self) -> None:
        """kill -9 of both processes, once they have counted what they did."""
        ended = {
            f'saga_total{{status="{status}",type="{saga_type}"}}': number
            for (saga_type, status), number in self.truth().items()
            if status in ("completed", "compensated", "failed")
        }
        assert len(ended) == 3
        eventually(
            lambda: {line: self._worker_says(line) for line in ended} == ended, 20, "all is counted"
        )
        time.sleep(0.5)  # the rest of what the last of them counts
        self.killed = children(self.worker)
        for each in self.killed:
            os.kill(each, signal.SIGKILL)

    def _worker_says(self, line: str) -> float:
        text = requests.get(f"http://{self.targets[2]}/metrics", timeout=10).text
        return sum(float(row.split()[-1]) for row in text.splitlines() if row.startswith(line))


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    program("prometheus")
    folder = tmp_path_factory.mktemp("observed")
    second, metrics = free_port(), free_port()
    with Service(folder, free_port(), **QUICK) as service:
        service.run("api", PORT=str(second))
        worker = service.start_worker(SAGA_METRICS_PORT=str(metrics))
        service.start_api()
        here = [f"127.0.0.1:{port}" for port in (service.port, second, metrics)]
        jobs = {"saga-orchestrator": here[:2], "saga-worker": here[2:], "kong": ["127.0.0.1:9"]}
        with Prometheus(folder, jobs) as prometheus:
            seen = Observed(service, prometheus, worker.pid, here)
            eventually(lambda: prometheus.values("sum(up)") == {(): 3}, 30, "all are scraped")
            eventually(lambda: prometheus.values("max(saga_workers)") == {(): 2}, 30, "both work")
            _end_sagas(service)
            seen.kill_workers()
            _open_breaker(service)
            _settle(seen)
            yield seen


def _end_sagas(service: Service) -> None:
    """Three are completed, one is compensated, one fails, one is not executed."""
    match = {"customer_id": DECLINED}
    service.fault("payment", step="process_payment", fault="decline", match=match)
    assert service.http.get(f"{service.url}/nowhere").status_code == 404
    good = [service.create(), service.create(), service.create()]
    service.create(execute=False)
    service.ends(service.create(customer_id=DECLINED), "compensated")
    service.fault("inventory", step="release_inventory", fault="decline", times=1)
    service.ends(service.create(customer_id=DECLINED), "failed")
    for saga_id in good:
        service.ends(saga_id, "completed")


def _open_breaker(service: Service) -> None:
    """Two calls without an answer open it: the compensation waits, and so does the next saga."""
    service.fault("payment", step="process_payment", fault="error_after", times=9)
    doubtful = service.create()
    eventually(lambda: "attempt_held" in service.kinds(doubtful), 20, "the breaker is open")
    service.create()


def _settle(seen: Observed) -> None:
    """Wait until nothing moves but the two that wait, and Prometheus has seen it for a while."""
    waiting = "sum(min_over_time(saga_waiting{reason='breaker'}[4s]))"
    eventually(lambda: seen.prometheus.values(waiting) == {(): 4}, 30, "two wait, says each API")
    working = "min(min_over_time(saga_workers[4s]))"
    eventually(lambda: seen.prometheus.values(working) == {(): 2}, 30, "both work, says each API")


def test_counters_and_the_database_agree(observed: Observed) -> None:
    truth, counted = observed.truth(), observed.counted()
    purchase = "purchase_saga"
    statuses = {"completed": 3, "compensated": 1, "failed": 1, "pending": 1, "in_progress": 2}
    assert truth == {(purchase, status): number for status, number in statuses.items()}
    for status in ("completed", "compensated", "failed"):
        assert counted[purchase, status] == truth[purchase, status]
    assert counted[purchase, "pending"] == sum(truth.values())
    [(ended,)] = observed.service.sql(
        "SELECT count(*) FROM sagas_saga WHERE started_at IS NOT NULL AND ended_at IS NOT NULL"
    )
    assert observed.prometheus.values("sum(saga_duration_seconds_count)") == {(): ended}


def test_attempts_and_the_history_agree(observed: Observed) -> None:
    rows = observed.service.sql(
        "SELECT step, data->>'call', count(*) FILTER (WHERE kind <> 'attempt_held'),"
        " count(*) FILTER (WHERE kind <> 'attempt_held' AND (data->>'attempt')::int > 1)"
        " FROM sagas_sagaevent WHERE kind LIKE 'attempt_%' AND kind <> 'attempt_started'"
        " GROUP BY 1, 2"
    )
    made = {(step, call): number for step, call, number, _ in rows if number}
    repeated = {(step, call): number for step, call, _, number in rows if number}
    assert made["process_payment", "action"] >= 7
    assert repeated == {("process_payment", "action"): 1}
    ask = observed.prometheus.values
    query = 'sum by (step, call) (saga_attempts_total{outcome!="held"}) > 0'
    assert ask(query, "step", "call") == made
    query = "sum by (step, call) (saga_call_duration_seconds_count)"
    assert ask(query, "step", "call") == made
    assert ask("sum by (step, call) (saga_retries_total) > 0", "step", "call") == repeated


def test_how_things_stand_is_said_alike_by_each_api(observed: Observed) -> None:
    ask, truth = observed.prometheus.values, observed.truth()
    for instance in observed.targets[:2]:
        current = ask(f'saga_current{{instance="{instance}"}} > 0', "type", "status")
        kept = {key: n for key, n in truth.items() if key[1] not in ("completed", "compensated")}
        assert current == kept
    [(doubtful,)] = observed.service.sql("SELECT count(*) FROM sagas_saga WHERE in_doubt")
    assert ask("sum(max by (type, status) (saga_in_doubt))") == {(): doubtful}
    assert ask("max by (participant) (saga_breaker_open) == 1", "participant") == {("payment",): 1}
    assert ask("saga:workers:max") == {(): 2}
    assert 0 < ask("max(saga_failed_oldest_seconds)")[()] < 120


def test_every_panel_of_every_dashboard_shows_data(observed: Observed) -> None:
    empty = []
    for query in queries():
        if query.instant:
            values = list(observed.prometheus.values(query.filled()).values())
        else:
            values = observed.prometheus.over_time(query.filled(), 60)
        if all(map(math.isnan, values)):
            empty.append(f"{query}: {query.expression}")
    assert empty == []


def test_a_panel_s_figures_are_the_truth(observed: Observed) -> None:
    panels = {str(query): query.filled() for query in queries()}
    figure = {
        name: observed.prometheus.values(expression).get((), 0.0)
        for name, expression in panels.items()
        if name.startswith("saga-overview") and "by (status)" not in expression
    }
    assert figure["saga-overview: Failed"] == 1
    assert figure["saga-overview: In doubt"] == 1
    assert figure["saga-overview: Workers alive"] == 2
    assert figure["saga-overview: Breakers open"] == 1
    assert figure["saga-overview: Due, not taken"] == 0


def test_rules_are_well_and_read_what_there_is(observed: Observed) -> None:
    groups = observed.prometheus.get("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert [(rule["name"], rule["lastError"]) for rule in rules if rule["health"] != "ok"] == []
    there = set(observed.prometheus.get("label/__name__/values"))
    expressions = [rule["query"] for rule in rules] + [query.filled() for query in queries()]
    read = set().union(*map(names, expressions))
    assert {"saga_total", "saga_workers", "saga:due:max", "ALERTS", "up"} <= read
    assert read - there == set()


def test_recorded_rules_have_values(observed: Observed) -> None:
    groups = observed.prometheus.get("rules")["groups"]
    recorded = [r["name"] for group in groups for r in group["rules"] if r["type"] == "recording"]
    assert [name for name in recorded if not observed.prometheus.values(name, "type")] == []


def test_a_killed_process_takes_no_number_with_it(observed: Observed) -> None:
    """Both were killed in the middle; that all is counted once is what the tests above see."""
    assert len(observed.killed) == 2
    assert not set(observed.killed) & set(children(observed.worker))
    counters = observed.prometheus.values('count(saga_total{job="saga-worker"})')
    assert counters[()] > 0
    assert observed.prometheus.values('sum(resets(saga_total{job="saga-worker"}[5m]))') == {(): 0}
