"""Two instances behind a gateway: both work, one may die, and all may be replaced, unnoticed."""

import json
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
import requests
from django.conf import settings

from sagaproject import gunicorn
from tests.acceptance.buyers import Buyers
from tests.acceptance.service import PURCHASE, eventually
from tests.deploy.gateway import CADDYFILE, DRAIN, Deployment, caddy

pytestmark = [pytest.mark.xdist_group("degraded"), pytest.mark.timeout(180)]


def test_the_documented_addresses(deployment: Deployment) -> None:
    http, gateway = requests.Session(), f"http://127.0.0.1:{deployment.service.port}"
    sagas = f"{gateway}/saga-orchestrator/api/v1/sagas"
    created = http.post(sagas, json={"type": "purchase_saga", "data": PURCHASE})
    assert created.status_code == 201
    assert len(created.headers["X-Request-Id"]) >= 32
    path = created.headers["Location"]
    assert path == f"/saga-orchestrator/api/v1/sagas/{created.json()['id']}"
    assert http.post(f"{gateway}{path}/execute").status_code == 202
    assert http.get(sagas, headers={"X-Request-Id": "mine"}).headers["X-Request-Id"] == "mine"
    assert http.get(f"{gateway}/saga/health").json()["status"] == "ok"
    assert "saga_total" in http.get(f"{gateway}/saga/metrics").text
    docs = http.get(f"{gateway}/saga-orchestrator/api-docs")
    assert docs.status_code == 200
    assert "/saga-orchestrator/static/" in docs.text
    # What a client names as taken off its path is not believed.
    prefixed = {"X-Forwarded-Prefix": "/saga"}
    assert "/saga/" not in http.get(f"{gateway}/saga-orchestrator/api-docs", headers=prefixed).text


def test_what_the_gateway_refuses_is_a_problem_document(deployment: Deployment) -> None:
    gateway = f"http://127.0.0.1:{deployment.service.port}"
    missing = requests.get(f"{gateway}/metrics", timeout=10)
    large = requests.post(
        f"{gateway}/saga-orchestrator/api/v1/sagas",
        data=b'"' + b"x" * 1_048_576 + b'"',
        headers={"Content-Type": "application/json"},
        timeout=10,
    )
    for answer, status in ((missing, 404), (large, 413)):
        assert answer.status_code == status
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["status"] == status


def test_clients_with_slow_bodies_keep_no_thread(deployment: Deployment) -> None:
    port = deployment.service.port
    head = (
        "POST /saga-orchestrator/api/v1/sagas HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "Content-Type: application/json\r\nContent-Length: 5000\r\n\r\n{"
    )
    with ExitStack() as opened:
        for _ in range(3 * settings.SAGA_API_THREADS):
            slow = opened.enter_context(socket.create_connection(("127.0.0.1", port)))
            slow.sendall(head.encode())
        time.sleep(1)
        for instance in deployment.instances:
            assert requests.get(f"{instance.url}/health/live", timeout=5).ok
        assert deployment.service.count("failed") == 0


def test_metrics_are_for_those_within() -> None:
    metrics = ["/saga/metrics", "/saga-orchestrator/metrics"]
    [guard] = [each for each in _routes(_adapted()) if _paths(each) == metrics]
    [match] = guard["match"]
    assert {"127.0.0.1/8", "10.0.0.0/8"} <= set(match["not"][0]["remote_ip"]["ranges"])
    assert [each["status_code"] for each in _handlers(guard, "error")] == [404]


def test_the_gateway_suits_the_service() -> None:
    [proxy] = _handlers(_adapted(), "reverse_proxy")
    transport, second = proxy["transport"], 10**9
    assert transport["read_timeout"] > (settings.SAGA_MAX_WAIT + 10) * second
    assert transport["keep_alive"]["idle_timeout"] < gunicorn.keepalive * second
    assert proxy["health_checks"]["active"]["uri"] == "/health/ready"
    assert f"> {settings.DATA_UPLOAD_MAX_MEMORY_SIZE}`" in CADDYFILE.read_text()


def _adapted() -> Any:
    """The Caddyfile as Caddy reads it."""
    command = [caddy(), "adapt", "--config", str(CADDYFILE), "--adapter", "caddyfile"]
    adapted = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(adapted.stdout)


def _routes(node: Any) -> list[Any]:
    """What has a condition, wherever it is nested."""
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    found = [each for child in inner for each in _routes(child)]
    return [node, *found] if isinstance(node, dict) and "match" in node else found


def _paths(route: Any) -> list[str]:
    return [path for match in route["match"] for path in match.get("path", ())]


def _handlers(node: Any, name: str) -> list[Any]:
    """Caddy's handlers of that name, wherever they are nested."""
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    found = [each for child in inner for each in _handlers(child, name)]
    is_one = isinstance(node, dict) and node.get("handler") == name
    return [node, *found] if is_one else found


def test_both_instances_work(deployment: Deployment) -> None:
    before = [instance.lists() for instance in deployment.instances]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: deployment.service.count("pending"), range(40)))
    served = [i.lists() - b for i, b in zip(deployment.instances, before, strict=True)]
    assert sum(served) == 40
    assert min(served) >= 5


def test_an_instance_is_killed_under_load(deployment: Deployment) -> None:
    service, victim = deployment.service, deployment.instances[0]
    with Buyers(service) as buyers:
        service.kill(victim.process)
        time.sleep(2)
        known = len(buyers.answers)
        time.sleep(1)
        later = buyers.answers[known:]
    victim.start()
    # Whatever was under way with it has no answer but the gateway's 502.
    assert later
    assert {status for status, _ in later} == {201}
    assert set(buyers.counts()) <= {201, 502}
    assert _broken_promises(deployment, buyers) == []
    victim.wait_until_ready()
    time.sleep(1.5)  # until the gateway has seen it


def test_everything_is_restarted_under_load_and_nobody_notices(deployment: Deployment) -> None:
    service = deployment.service
    for instance in deployment.instances:
        instance.wait_until_ready()
    with Buyers(service, threads=2) as buyers:
        deployment.worker.send_signal(signal.SIGTERM)
        assert deployment.worker.wait(30) == 0
        deployment.worker = service.start_worker()
        for instance in deployment.instances:
            told = time.monotonic()
            instance.process.send_signal(signal.SIGTERM)
            assert instance.process.wait(30) == 0
            assert time.monotonic() - told > DRAIN
            instance.start()
            instance.wait_until_ready()
            time.sleep(1.5)  # until the gateway has seen it
    assert set(buyers.counts()) == {201}
    assert _broken_promises(deployment, buyers) == []
    ids = "', '".join(buyers.sagas.values())
    attempts = service.sql(
        f"select attempts, count(*) from sagas_sagastep where saga_id in ('{ids}') group by 1"
    )
    assert attempts == [(1, 5 * len(buyers.sagas))]


def _broken_promises(deployment: Deployment, buyers: Buyers) -> list[str]:
    """What is wrong after every saga has ended: one for each key, completed, in order."""
    service = deployment.service
    eventually(lambda: service.count("in_progress") == 0, 60, "every saga has ended")
    keys = "', '".join(buyers.sagas)
    columns = "select idempotency_key, id::text, status from sagas_saga"
    found = service.sql(f"{columns} where idempotency_key in ('{keys}')")
    assert sorted(found) == sorted((k, i, "completed") for k, i in buyers.sagas.items())
    return service.broken(*buyers.sagas.values())
