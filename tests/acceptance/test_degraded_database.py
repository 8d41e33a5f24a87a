"""PostgreSQL goes away, hangs or refuses while clients buy and sagas run."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.acceptance.buyers import Buyers
from tests.acceptance.service import Service, eventually, frozen
from tests.free_port import free_port

pytestmark = [pytest.mark.xdist_group("degraded"), pytest.mark.timeout(180)]

AWAY = 1.5
"""Seconds for which something is amiss."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    quick = {
        "SAGA_LEASE_MS": "3000",
        "SAGA_CALL_TIMEOUT_MS": "2000",
        "SAGA_SWEEP_INTERVAL_MS": "300",
        "SAGA_API_PROCESSES": "1",
        "LOG_LEVEL": "error",
    }
    with Service(tmp_path_factory.mktemp("database"), free_port(), **quick) as running:
        running.start_api()
        running.start_worker()
        saga_id = running.create()
        running.ends(saga_id, "completed")
        yield running


def killed(service: Service) -> None:
    service.postgres.kill()
    time.sleep(AWAY)
    service.postgres.start()


def disconnected(service: Service) -> None:
    for _ in range(5):
        service.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = 'saga' and pid <> pg_backend_pid()"
        )
        time.sleep(AWAY / 5)


def read_only(service: Service) -> None:
    service.sql("alter system set default_transaction_read_only = on")
    service.sql("select pg_reload_conf()")
    time.sleep(AWAY)
    assert service.health()["database"] == "read_only"
    assert service.get("?limit=1")["results"], "what is there may be read"
    service.sql("alter system reset all")
    service.sql("select pg_reload_conf()")


def hung(service: Service) -> None:
    assert service.postgres.process is not None
    with frozen(service.postgres.process.pid):
        time.sleep(6)


def full(service: Service) -> None:
    service.sql(
        "create function no_room() returns trigger language plpgsql as"
        " $$ begin raise 'no space left on device' using errcode = '53100'; end $$;"
        "create trigger no_room before insert on sagas_sagaevent execute function no_room()"
    )
    time.sleep(AWAY)
    service.sql("drop function no_room() cascade")


def crowded(service: Service) -> None:
    """There are fewer connections than threads."""
    service.postgres.max_connections = 5
    service.postgres.restart()
    time.sleep(AWAY)
    service.postgres.max_connections = 200
    service.postgres.restart()


@pytest.mark.parametrize(
    ("strike", "soon"),
    [
        (killed, 2.0),
        (disconnected, 2.0),
        (read_only, 2.0),
        (full, 2.0),
        (hung, 8.0),
        (crowded, 8.0),
    ],
)
def test_nothing_is_lost(service: Service, strike: Callable[[Service], None], soon: float) -> None:
    with Buyers(service, threads=10 if strike is crowded else 3) as buyers:
        strike(service)
    counts = buyers.counts()
    assert buyers.broken_promises() == []
    assert buyers.slowest(503) < soon
    unnoticed = (disconnected, hung)  # all was mended, or came late
    assert counts[503] > 0 or strike in unnoticed, "it did not strike"


def test_nobody_waits_for_ever_for_a_database_that_hangs(service: Service) -> None:
    """Its host lives, so that no connection ends; those of the API are given up, and mended."""
    assert service.postgres.process is not None
    saga_id = service.create()
    asked = ["/health/ready", f"/api/v1/sagas/{saga_id}", "/api/v1/sagas?limit=1", "/health/ready"]

    def ask(path: str) -> tuple[int, float]:
        answer = requests.get(f"{service.url}{path}", timeout=25)
        return answer.status_code, answer.elapsed.total_seconds()

    with frozen(service.postgres.process.pid), ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(ask, asked))
        again = ask("/health/live")
    assert [status for status, _ in answers] == [503] * len(asked), answers
    assert max(seconds for _, seconds in answers) < 12, answers
    assert again[0] == 200
    eventually(service.ready, 10, "the API has connections again")
    service.ends(saga_id, "completed")
    assert service.broken(saga_id) == []
