"""Where the numbers come from: folders of what is counted, addresses, looks at servers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread

import pytest
import requests
from django.conf import settings
from prometheus_client.core import GaugeMetricFamily, Metric

from sagas import selectors
from sagas.domain import triggers as tr
from sagas.management import counts
from sagas.metrics import looking, standing
from sagas.metrics.looking import Look
from sagas.models import Saga
from tests.acceptance.service import ROOT, eventually
from tests.engine.stage import LOST, NO, Stage
from tests.free_port import free_port

SHARE = """
import sys; from pathlib import Path; from sagas.management import counts
counts.share(Path(sys.argv[1])); print("shares", flush=True); sys.stdin.read()
"""


@contextmanager
def sharing(folder: Path) -> Iterator[None]:
    """Another process shares the folder meanwhile."""
    command = [sys.executable, "-c", SHARE, str(folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "shares\n"
        yield
        process.communicate()


def test_what_the_gone_counted_is_deleted_and_what_the_living_count_is_kept(tmp_path: Path):
    numbers = tmp_path / "counter_7.db"
    with sharing(tmp_path):
        numbers.write_bytes(b"")
        with sharing(tmp_path):
            assert numbers.exists()
    with sharing(tmp_path):
        assert not numbers.exists()


FULL = """
import os, sys
os.environ["PROMETHEUS_MULTIPROC_DIR"] = sys.argv[1]  # before the import
from sagas.management import careful; careful.count_carefully()
from prometheus_client import CollectorRegistry, Counter, multiprocess
def full(*_):
    raise OSError(28, "full")
if sys.argv[2] == "begin":
    os.posix_fallocate = full
counter = Counter("some", "", ["label"])
counter.labels("first").inc()
if sys.argv[2] == "later":
    os.posix_fallocate = full
for number in range(2000):
    counter.labels(str(number) * 20).inc()
assert counter.labels("7" * 20)._value.get() == 1
seen = CollectorRegistry(); multiprocess.MultiProcessCollector(seen)
print(seen.get_sample_value("some_total", {"label": "first"}))
"""


@pytest.mark.parametrize(("when", "seen"), [("never", "1.0"), ("begin", "None"), ("later", "1.0")])
def test_a_full_disk_ends_no_process(tmp_path: Path, when: str, seen: str):
    """Nobody writes to a page that has no block: that would be a SIGBUS."""
    command = [sys.executable, "-c", FULL, str(tmp_path), when]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, seen), done.stderr
    blocks = [(file.stat().st_blocks * 512, file.stat().st_size) for file in tmp_path.glob("*.db")]
    assert all(0 < size <= kept for kept, size in blocks)
    assert bool(blocks) == (when != "begin")


def test_a_port_that_is_taken_is_a_warning_until_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv(counts.VARIABLE, str(tmp_path))
    monkeypatch.setattr(counts, "_AGAIN", 0.0)
    port = free_port()
    endpoint = counts.Endpoint(f"127.0.0.1:{port}")
    with socket.create_server(("127.0.0.1", port)):
        endpoint.look()
        endpoint.look()
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"127.0.0.1:{port}" in said
    endpoint.look()
    assert requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).status_code == 200
    counts.Endpoint("127.0.0.1:0").look()
    assert capsys.readouterr().err == ""


def test_a_command_at_a_shell_needs_no_folder_for_metrics(tmp_path: Path):
    folder = tmp_path / "missing"
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "SAGA_STATE_DIR": str(tmp_path),
            counts.VARIABLE: str(folder),
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert not folder.exists()


def test_who_hangs_is_waited_for_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(looking, "_FRESH", 0.0)
    answers = Event()
    gauge = GaugeMetricFamily("some", "", value=1.0)

    def read() -> list[Metric]:
        assert answers.wait(20)
        return [gauge]

    look = Look("some", read)

    def found(patience: float) -> list[Metric] | None:
        look.begin()
        return look.found(time.monotonic() + patience)

    assert found(0.2) is None
    began = time.monotonic()
    assert found(10) is None
    assert time.monotonic() - began < 5
    answers.set()
    eventually(lambda: found(5) == [gauge], 10, "it answers again")


def test_who_fails_is_away():
    def read() -> list[Metric]:
        raise OSError("away")

    look = Look("some", read)
    look.begin()
    assert look.found(time.monotonic() + 10) is None


def test_who_finds_no_thread_looks_again(monkeypatch: pytest.MonkeyPatch):
    look = Look("some", list)

    def start(thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(Thread, "start", start)
        with pytest.raises(RuntimeError):
            look.begin()
    look.begin()
    assert look.found(time.monotonic() + 10) == []


def figures() -> dict[str, float]:
    """What the gauges of sagas say that is not 0, by name and labels."""
    return {
        " ".join([sample.name, *(v for _, v in sorted(sample.labels.items()))]): sample.value
        for metric in standing.of_database()
        for sample in metric.samples
        if sample.value and sample.name not in ("saga_workers", "saga_due_oldest_seconds")
    }


@pytest.mark.django_db(transaction=True)
def test_how_sagas_stand():
    """Saga type `stage` is none of SAGA_EXECUTORS, so that all of it waits for its code."""
    stage = Stage()
    assert figures() == {}
    stage.create(execute=False)
    stage.script = {"pay": [NO], "unbook": [NO]}
    stage.engine().drive(stage.create())
    late = stage.create()
    moment = selectors.database_now() - timedelta(seconds=100)
    Saga.objects.filter(pk=late).update(deadline=moment)
    assert figures().pop("saga_failed_oldest_seconds") < 60
    rest = {key: n for key, n in figures().items() if "oldest" not in key}
    assert rest == {
        "saga_current pending stage": 1,
        "saga_current failed stage": 1,
        "saga_current in_progress stage": 1,
        "saga_waiting code stage": 1,
        "saga_due stage": 1,
        "saga_past_deadline stage": 1,
    }


@pytest.mark.django_db(transaction=True)
def test_sagas_in_doubt_and_their_ages():
    stage = Stage()
    stage.script = {"pay": [LOST] * 4, "unpay": [NO]}
    saga_id = stage.create()
    stage.engine().drive(saga_id)
    for _ in range(5):
        stage.engine().drive(saga_id)
    saga = Saga.objects.get(pk=saga_id)
    assert (saga.status, saga.in_doubt) == ("failed", True)
    past = selectors.database_now() - timedelta(seconds=1000)
    Saga.objects.filter(pk=saga_id).update(ended_at=past)
    found = figures()
    assert found["saga_in_doubt failed stage"] == 1
    for name in ("saga_in_doubt_oldest_seconds failed", "saga_failed_oldest_seconds"):
        assert 1000 <= found[name] < 1100
    stage.engine().command(saga_id, tr.Retry(), actor="test", reason="")
    assert figures()["saga_in_doubt in_progress stage"] == 1


def test_labels_are_of_the_code_alone():
    assert set(settings.SAGA_PARTICIPANTS) == {
        sample.labels["participant"] for metric in standing.of_cache() for sample in metric.samples
    }
