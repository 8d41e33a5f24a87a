"""A demo that is up: what it has shown, and the documented commands, as they are written."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import requests

from sagas.demo.tour import TOUR
from tests.demo.process import ROOT, UP, Demo

pytestmark = pytest.mark.xdist_group("demo that is up")

CREATE = """\
curl -X POST http://localhost:8000/saga-orchestrator/api/v1/sagas \\
  -H "Content-Type: application/json" \\
  -d '{
    "type": "purchase_saga",
    "data": {
      "store_id": 1,
      "customer_id": 123,
      "items": [{"product_id": 456, "quantity": 2, "price": 29.99}],
      "payment_method": "credit_card",
      "amount": 59.98
    }
  }'
"""
CREATE_WITHOUT_TYPE = re.sub(r"  -H .*\n", "", CREATE)
EXECUTE = "curl -X POST http://localhost:8000/saga-orchestrator/api/v1/sagas/{saga-id}/execute"
LIST = "curl -X GET http://localhost:8000/saga-orchestrator/api/v1/sagas"
READ = "curl -X GET http://localhost:8000/saga-orchestrator/api/v1/sagas/{id}"
HEALTH = "curl -X GET http://localhost:8000/saga/health"
METRICS = "curl -X GET http://localhost:8000/saga/metrics"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    demo = Demo(folder, folder / "state", ())
    try:
        demo.read_until(UP)
        yield demo
        assert demo.end(signal.SIGTERM) == 0
        assert demo.output.endswith("Stopped.\n")
        assert demo.errors.read_text() == ""
    finally:
        demo.close()


@pytest.fixture
def url(demo: Demo) -> str:
    return demo.address("orchestrator")


def test_it_shows_every_saga_and_what_the_ledgers_say(demo: Demo) -> None:
    output = demo.output
    for number, chapter in enumerate(TOUR, start=1):
        assert f"\n{number:>2}  {chapter.title}\n" in output
        (line,) = (line for line in output.splitlines() if line.startswith(f"  ✓ {number:>2}  "))
        assert chapter.expected in line
    assert "✗ process_payment            payment      1        402: the card is declined" in output
    assert "? process_payment            payment      4        in doubt" in output
    assert "120.00 taken, then 120.00 given back" in output
    assert "29.99 stay with the shop, as the sagas imply" in output
    assert f"All {len(TOUR)} sagas ended as they should" in output
    assert "\x1b" not in output
    lines = [line for line in output.splitlines() if not line.startswith("  state ")]
    assert max(map(len, lines)) <= 100


def curl(demo: Demo, command: str, saga_id: str = "") -> str:
    """Run the command in a shell; the port, which is any free one here, is all that is changed."""
    if shutil.which("curl") is None:
        pytest.skip("no curl here")
    port = demo.address("orchestrator").rpartition(":")[2]
    command = command.replace(":8000", f":{port}").replace("{saga-id}", saga_id)
    command = command.replace("{id}", saga_id)
    shell = ["sh", "-c", command.replace("curl ", "curl -sS --fail-with-body ", 1)]
    done = subprocess.run(
        shell, capture_output=True, text=True, timeout=20, env={**os.environ, "NO_PROXY": "*"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("create", [CREATE, CREATE_WITHOUT_TYPE], ids=["json", "untyped"])
def test_the_documented_commands_run_a_saga(demo: Demo, create: str) -> None:
    saga = json.loads(curl(demo, create))
    assert (saga["type"], saga["status"]) == ("purchase_saga", "pending")
    started = json.loads(curl(demo, EXECUTE, saga["id"]))
    assert started["id"] == saga["id"]
    assert started["status"] in ("in_progress", "completed")
    until = time.monotonic() + 20
    while (found := json.loads(curl(demo, READ, saga["id"])))["status"] == "in_progress":
        assert time.monotonic() < until
    assert found["status"] == "completed"
    assert saga["id"] in [one["id"] for one in json.loads(curl(demo, LIST))["results"]]


@pytest.mark.parametrize(
    ("query", "name", "value"),
    [("status=completed", "status", "completed"), ("type=purchase_saga", "type", "purchase_saga")],
)
def test_the_documented_filters(demo: Demo, query: str, name: str, value: str) -> None:
    found = json.loads(curl(demo, f"{LIST}?{query}"))["results"]
    assert found
    assert {saga[name] for saga in found} == {value}


def test_the_documented_pages(demo: Demo) -> None:
    page = json.loads(curl(demo, LIST.replace("http:", "'http:") + "?limit=2&offset=1'"))
    assert len(page["results"]) == page["limit"] == 2
    assert page["offset"] == 1


def test_health_and_metrics(demo: Demo) -> None:
    assert json.loads(curl(demo, HEALTH))["status"] == "ok"
    lines = curl(demo, METRICS).splitlines()
    for wanted in (
        'saga_total{status="completed",type="purchase_saga"}',
        'saga_duration_seconds_count{type="purchase_saga"}',
        'saga_steps_total{status="completed",type="validate_inventory"}',
        'saga_failures_total{type="purchase_saga"}',
        'saga_compensations_total{type="purchase_saga"}',
    ):
        (line,) = (line for line in lines if line.startswith(wanted))
        assert float(line.split()[-1]) >= 1


def test_the_commands_that_it_prints_work(demo: Demo) -> None:
    port = demo.address("orchestrator").rpartition(":")[2]
    _, _, printed = demo.output.partition("Try, in another terminal:\n")
    commands = [part for part in printed.partition(UP)[0].split("\n\n") if "curl" in part]
    assert len(commands) == 2
    created, listed = (
        json.loads(curl(demo, command.replace(port, "8000"))) for command in commands
    )
    assert created["status"] in ("in_progress", "completed")
    assert created["id"] in [saga["id"] for saga in listed["results"]]


def test_the_command_that_it_prints_verifies_it(demo: Demo) -> None:
    _, _, printed = demo.output.partition("Try, in another terminal:\n")
    (command,) = [part for part in printed.partition(UP)[0].split("\n\n") if "verify" in part]
    assert "./run verify" in command
    command = command.replace("./run", f"{shlex.quote(sys.executable)} manage.py")
    # Only what it says itself, whatever servers these tests have; their own sagas may still run.
    own = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        f"{command.strip()} --running",
        shell=True,
        cwd=ROOT,
        env=own,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^[1-9]\d* sagas, [1-9]\d* calls, 0 violations$", done.stdout, re.M)


def test_the_addresses_that_it_prints_answer(demo: Demo) -> None:
    _, _, printed = demo.output.partition("the shop's ledgers agree.\n")
    addresses = re.findall(r"http://127\.0\.0\.1:\d+/\S+", printed)
    assert len(addresses) == 8
    for address in addresses:
        assert requests.get(address, timeout=5).status_code == 200, address


def links(page: str) -> set[str]:
    """What a page loads: styles, scripts, pictures and the API's description."""
    found = re.findall(r'(?:src|href)="([^"]+\.(?:css|js|png|svg|ico))"', page)
    return {unescape(link) for link in found}


def test_the_documentation_needs_nothing_from_outside(url: str) -> None:
    page = requests.get(f"{url}/saga-orchestrator/api-docs", timeout=5).text
    assets = links(page)
    assert len(assets) >= 3
    assert all(link.startswith("/saga-orchestrator/static/") for link in assets), assets
    for link in assets:
        assert requests.get(url + link, timeout=5).status_code == 200, link
    (script,) = re.findall(r'src="(/saga-orchestrator/api-docs[^"]+)"', page)
    code = requests.get(url + script, timeout=5).text.replace("\\u002D", "-")
    (description,) = re.findall(r'"(/[^"]*openapi[^"]*)"', code)
    assert description.startswith("/saga-orchestrator/")
    assert "openapi: 3" in requests.get(url + description, timeout=5).text


def test_the_login_that_it_prints_opens_the_admin(demo: Demo, url: str) -> None:
    found: Any = re.search(r"(http\S+/admin/)   login (\S+), password (\S+)", demo.output)
    session = requests.Session()
    page = session.get(found[1], timeout=5)
    assert page.url.startswith(f"{url}/saga-orchestrator/admin/login/")
    for link in links(page.text):
        assert link.startswith("/saga-orchestrator/static/")
        assert session.get(url + link, timeout=5).status_code == 200, link
    form = {
        "username": found[2],
        "password": found[3],
        "csrfmiddlewaretoken": session.cookies["csrftoken"],
    }
    home = session.post(page.url, data=form, timeout=5)
    assert home.status_code == 200
    assert home.url == found[1]


def test_a_second_demo_does_not_share_the_state(demo: Demo, tmp_path: Path) -> None:
    second = Demo(tmp_path, demo.state, ())
    try:
        assert second.rest() == ""
        assert second.process.returncode == 1
        (line,) = second.errors.read_text().splitlines()
    finally:
        second.close()
    assert line.startswith(f"demo: another demo (process {demo.process.pid}) uses {demo.state}")
