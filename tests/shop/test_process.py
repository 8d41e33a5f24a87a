"""The shop as a process: how it starts, how it ends, and what survives."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from shop import Shop, StartError
from tests.shop.client import Caller

ANY_PORTS = ["--inventory-port", "0", "--payment-port", "0", "--sales-port", "0"]
ROOT = Path(__file__).parents[2]

Start = Callable[..., "Process"]


class Process:
    """A running `python -m shop`."""

    def __init__(self, state: Path, *options: str) -> None:
        command = [sys.executable, "-m", "shop", "--state", str(state), *ANY_PORTS, *options]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        assert self.process.stdout
        self.lines = [self.process.stdout.readline().rstrip() for _ in range(3)]
        self.urls = dict(line.split() for line in self.lines if line)

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(5)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream
            stream.close()

    def errors(self) -> str:
        assert self.process.stderr
        text: str = self.process.stderr.read()
        return text


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Process] = []

    def start(*options: str, state: Path = tmp_path) -> Process:
        started.append(Process(state, *options))
        return started[-1]

    yield start
    for one in started:
        one.close()


def test_it_prints_where_it_listens(start: Start) -> None:
    lines = "\n".join(start().lines)
    url = r"http://127\.0\.0\.1:\d+"
    assert re.fullmatch(rf"inventory {url}\npayment {url}\nsales {url}", lines)


def test_effects_records_and_barriers_survive_kill_9(start: Start) -> None:
    first = start()
    caller = Caller(first)
    paid, reserved = caller.pay(), caller.reserve()
    caller.release()
    assert first.end(signal.SIGKILL) == -signal.SIGKILL

    second = start()
    again = Caller(second, caller.saga_id)
    assert reserved.status == 201
    assert again.pay().body == paid.body
    assert again.reserve().body["code"] == "barred"
    assert again.outcomes("payment") == ["applied", "replayed"]
    assert again.outcomes("inventory") == ["applied", "applied", "barred"]
    assert again.state("payment")["taken"] == "59.98"


def test_an_effect_whose_answer_was_never_sent_survives_kill_9(start: Start) -> None:
    first = start()
    caller = Caller(first)
    caller.set_fault("payment", "late", seconds=5)
    with pytest.raises(TimeoutError):
        caller.pay(timeout=0.3)
    first.end(signal.SIGKILL)

    again = Caller(start(), caller.saga_id)
    assert again.pay().status == 201
    assert again.outcomes("payment") == ["applied", "replayed"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(start: Start, number: int) -> None:
    process = start()
    caller = Caller(process)
    caller.set_fault("payment", "hang", seconds=60)
    with pytest.raises(TimeoutError):  # the call is in flight still when the signal comes
        caller.pay(timeout=0.1)
    assert process.end(number) == 0
    assert process.errors() == ""


def test_it_ends_with_its_parents_pipe(start: Start) -> None:
    process = start("--exit-with-parent-pipe")
    assert process.process.poll() is None
    assert process.process.stdin
    process.process.stdin.close()
    assert process.process.wait(5) == 0


def test_without_the_option_the_end_of_input_is_ignored(start: Start) -> None:
    process = start()
    assert process.process.stdin
    process.process.stdin.close()
    assert Caller(process).pay().status == 201


def test_a_port_in_use_is_one_clear_line(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        process = start("--sales-port", str(port))
        assert process.process.wait(5) == 1
    assert process.lines == [""] * 3
    assert process.errors() == (
        f"shop: sales cannot listen on 127.0.0.1:{port}: [Errno 98] Address already in use\n"
    )


def test_an_unusable_state_folder_is_one_clear_line(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    process = start(state=tmp_path / "file")
    assert process.process.wait(5) == 1
    (line,) = process.errors().splitlines()
    assert line.startswith(f"shop: inventory cannot keep state in {tmp_path / 'file'}: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_one_clear_line(start: Start, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    process = start()
    assert process.process.wait(5) == 1
    assert len(process.errors().splitlines()) == 1


def test_a_broken_store_is_a_start_error(tmp_path: Path) -> None:
    (tmp_path / "sales.sqlite3").write_bytes(b"this is no database" * 1000)
    with pytest.raises(StartError, match="sales cannot keep state"):
        Shop(tmp_path).start()


def test_a_failed_start_leaves_nothing_open(tmp_path: Path) -> None:
    with Shop(tmp_path) as first:
        taken = int(first.urls["sales"].rpartition(":")[2])
        with socket.create_server(("127.0.0.1", 0)) as probe:
            free = probe.getsockname()[1]
        ports = {"inventory": free, "sales": taken}
        with pytest.raises(StartError, match="sales cannot listen"):
            Shop(tmp_path, ports).start()
        socket.create_server(("127.0.0.1", free)).close()


def test_stop_ends_idle_connections(tmp_path: Path) -> None:
    with Shop(tmp_path) as shop:
        connection = HTTPConnection(urlsplit(shop.urls["sales"]).netloc, timeout=5)
        connection.request("GET", "/health")
        connection.getresponse().read()
        began = time.monotonic()
    assert time.monotonic() - began < 2
    assert connection.sock.recv(1) == b""
    connection.close()


def test_a_stopped_shop_starts_again_with_its_state(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.start()
    caller = Caller(shop)
    caller.set_fault("payment", "late", seconds=60, times=1)
    with pytest.raises(TimeoutError):
        caller.pay(timeout=0.1)
    shop.stop()
    shop.stop()
    assert shop.urls == {}
    shop.start()
    assert caller.pay().status == 201
    assert caller.outcomes("payment") == ["applied", "replayed"]
    shop.stop()
