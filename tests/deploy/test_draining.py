"""One instance of the API: how it ends, in order and not, and what it leaves."""

import json
import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import requests

from tests.acceptance.service import PURCHASE, children, eventually
from tests.deploy.gateway import Deployment, Instance, connects

pytestmark = [pytest.mark.xdist_group("degraded"), pytest.mark.timeout(180)]


def test_an_instance_that_is_to_end_serves_on_and_says_so(deployment: Deployment) -> None:
    service = deployment.service
    instance = Instance(service, "instance-3", SAGA_DRAIN_MS="25000")
    instance.wait_until_ready()
    _reload(instance)

    saga_id = service.create(execute=False)
    kept = requests.Session()
    assert kept.get(f"{instance.url}/health/ready").headers["Connection"] == "keep-alive"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(_wait, instance, saga_id)
        told = time.monotonic()
        instance.process.send_signal(signal.SIGTERM)
        eventually(lambda: not instance.ready(), 10, "it is to end")
        answers = {
            path: kept.get(instance.url + path)
            for path in ("/health/ready", "/health", "/api/v1/sagas", "/health/ready")
        }
        assert {path: answer.status_code for path, answer in answers.items()} == {
            "/health/ready": 503,
            "/health": 200,
            "/api/v1/sagas": 200,
        }
        assert {answer.headers["Connection"] for answer in answers.values()} == {"close"}
        assert answers["/health/ready"].json()["status"] == "stopping"
        assert waiting.result(timeout=20).status_code == 200
        instance.process.send_signal(signal.SIGTERM)
        assert instance.process.wait(15) == 0
    assert time.monotonic() - told < 25


def test_a_process_that_dies_leaves_its_numbers_to_the_next(deployment: Deployment) -> None:
    instance = Instance(deployment.service, "instance-4")
    instance.wait_until_ready()
    [folder] = (deployment.service.folder / "instance-4" / "metrics").iterdir()
    kept: set[Path] = set()
    for number in (1, 2, 3):
        assert requests.get(f"{instance.url}/api/v1/sagas", timeout=10).ok
        assert instance.lists() == number
        kept = kept or {*folder.glob("*.db")}
        [child] = children(instance.process.pid)
        os.kill(child, signal.SIGKILL)
        eventually(partial(_is_replaced, instance, child), 10, "another serves")
    assert {*folder.glob("*.db")} == kept
    instance.process.terminate()
    assert instance.process.wait(30) == 0


def test_an_instance_that_drives_sagas_answers_and_hands_them_back(deployment: Deployment) -> None:
    service = deployment.service
    instance = Instance(service, "instance-6", SAGA_API_DRIVES="on", SAGA_DRAIN_MS="0")
    instance.wait_until_ready()
    service.fault("payment", step="process_payment", fault="delay", seconds=2, times=1)
    body = {"type": "purchase_saga", "data": PURCHASE, "execute": True}
    with ThreadPoolExecutor(1) as pool:
        url, headers = f"{instance.url}/api/v1/sagas", {"Prefer": "wait=50"}
        waiting = pool.submit(requests.post, url, json=body, headers=headers, timeout=60)
        eventually(lambda: bool(_paying(instance)), 15, "the payment is called")
        instance.process.send_signal(signal.SIGTERM)
        assert instance.process.wait(15) == 0
        answer = waiting.result(timeout=1)
    assert (answer.status_code, answer.json()["status"]) == (201, "in_progress")
    saga_id = answer.json()["id"]
    service.ends(saga_id, "completed")
    kinds = [event["kind"] for event in service.get(f"/{saga_id}/events")]
    assert (kinds.count("handed_back"), kinds.count("claimed")) == (1, 2), "a worker went on"
    assert {step["attempts"] for step in service.get(f"/{saga_id}")["steps"]} == {1}
    assert service.broken(saga_id) == []


def _paying(instance: Instance) -> list[str]:
    listed = requests.get(f"{instance.url}/api/v1/sagas?status=in_progress", timeout=10).json()
    steps = (saga["current_step"] for saga in listed["results"])
    return [step for step in steps if step == "process_payment"]


def _is_replaced(instance: Instance, child: int) -> bool:
    return child not in children(instance.process.pid) and instance.ready()


def test_processes_of_an_instance_that_was_killed_let_go_of_its_port(
    deployment: Deployment,
) -> None:
    """And still answer what they have begun."""
    instance = Instance(deployment.service, "instance-5")
    instance.wait_until_ready()
    body = json.dumps({"type": "purchase_saga", "data": PURCHASE}).encode()
    head = (
        "POST /api/v1/sagas HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", instance.port), timeout=20) as begun:
        begun.sendall(head.encode())
        assert begun.recv(1000).startswith(b"HTTP/1.1 100 ")
        os.kill(instance.process.pid, signal.SIGKILL)  # it alone
        instance.process.wait()
        eventually(lambda: not connects(instance.port), 10, "the port is free")
        begun.sendall(body)
        answer = begun.recv(1000)
    assert answer.startswith(b"HTTP/1.1 201 ")


def _reload(instance: Instance) -> None:
    """Its processes are replaced; it stays ready all the while."""
    [old] = children(instance.process.pid)
    instance.process.send_signal(signal.SIGHUP)

    def replaced() -> bool:
        assert instance.ready()
        return old not in children(instance.process.pid)

    eventually(replaced, 15, "its process was replaced")


def _wait(instance: Instance, saga_id: str) -> requests.Response:
    url = f"{instance.url}/api/v1/sagas/{saga_id}/execute"
    return requests.post(url, headers={"Prefer": "wait=50"}, timeout=60)
