"""The demo as a person meets it: what it shows, how it starts, stops, fails and goes on."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest
import requests

from tests.demo.conftest import Start
from tests.demo.process import Demo, alive

API = "/saga-orchestrator/api/v1/sagas"
PURCHASE = {
    "type": "purchase_saga",
    "data": {
        "store_id": 1,
        "customer_id": 123,
        "items": [{"product_id": 456, "quantity": 2, "price": 29.99}],
        "payment_method": "credit_card",
        "amount": 59.98,
    },
}


def set_fault(url: str, **switch: object) -> None:
    requests.put(f"{url}/faults", json=switch, timeout=5).raise_for_status()


def test_a_wrong_outcome_is_told_and_is_the_exit_status(start: Start) -> None:
    demo = start("--exit")
    demo.read_until("  inventory ")
    # Chapter 5 is a return that completes: with this it cannot.
    set_fault(demo.address("inventory"), step="restore_inventory", fault="decline", times=1)
    output = demo.rest()
    assert demo.process.returncode == 1
    assert "✗ status   compensated, not completed: restore_inventory was refused" in output
    assert "✗  5  A return of one of the two pieces" in output
    assert "1 of 7 sagas did not end as they should" in output


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_killed_in_the_middle_it_leaves_no_process_and_goes_on_next_time(start: Start) -> None:
    demo = start()
    demo.read_until("  numbers ")
    api = demo.address("orchestrator") + API
    set_fault(demo.address("sales"), step="create_sale", fault="late", seconds=30)
    mine = [requests.post(api, json=PURCHASE, timeout=5).json()["id"] for _ in range(2)]
    for saga_id in mine:
        requests.post(f"{api}/{saga_id}/execute", timeout=5).raise_for_status()
    _until_in_doubt(f"{api}/{mine[-1]}")
    children = demo.children()
    assert len(children) == 2
    demo.process.kill()
    until = time.monotonic() + 5
    while alive(children) and time.monotonic() < until:
        time.sleep(0.02)
    assert not alive(children)

    again = start("--exit")
    output = again.rest()
    assert again.process.returncode == 0, output + again.errors.read_text()
    assert "in progress when the demo stopped; going on with" in output
    for saga_id in mine:
        _, _, story = output.partition(f"    purchase_saga {saga_id}\n")
        assert "✓ status   completed, as it should be" in story.partition("\n\n")[0]


def _until_in_doubt(url: str) -> None:
    until = time.monotonic() + 10
    while not requests.get(url, timeout=5).json()["in_doubt"]:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_ctrl_c_in_the_middle_ends_it_cleanly(start: Start) -> None:
    demo = start()
    demo.read_until("execute")
    children = demo.children()
    assert demo.end(signal.SIGINT) == 128 + signal.SIGINT
    assert demo.output.endswith("Stopped.\n")
    assert demo.errors.read_text() == ""
    assert not alive(children)


def one_line(demo: Demo) -> str:
    """What it says when it cannot start."""
    assert demo.rest() == ""
    assert demo.process.returncode == 1
    (line,) = demo.errors.read_text().splitlines()
    return line


def test_a_port_in_use_is_one_clear_line(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        line = one_line(start("--exit", "--port", str(port)))
    wanted = "of the orchestrator (choose another with --port or SAGA_DEMO_PORT) is in use"
    assert line == f"demo: port {port} {wanted}"


def test_a_folder_that_cannot_be_written_is_one_clear_line(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    state = tmp_path / "file" / "state"
    line = one_line(start("--exit", state=state))
    assert line == (
        f"demo: cannot keep state in {state}: Not a directory; "
        "name a folder that can be written with --state or SAGA_STATE_DIR"
    )


def test_contradictory_numbers_are_one_clear_line(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGA_BACKOFF_MULTIPLIER", "backwards")
    line = one_line(start("--exit"))
    assert line.startswith("demo: the orchestrator did not start: CommandError: ")
    assert "SAGA_BACKOFF_MULTIPLIER='backwards' is not a number" in line


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_child_that_dies_ends_the_demo_with_one_line(start: Start) -> None:
    demo = start()
    demo.read_until("execute")
    os.kill(max(demo.children()), signal.SIGKILL)
    demo.rest()
    assert demo.process.returncode == 1
    (line,) = demo.errors.read_text().splitlines()
    assert "ended by itself, status -9" in line
