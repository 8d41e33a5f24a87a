"""The breaker that several processes share through a real Redis, before one participant."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from django.conf import settings

from tests.executors.tcp import Peer, Server, http
from tests.executors.test_breaker import needs_redis

ROOT = Path(__file__).resolve().parents[2]
PROCESSES, THREADS = 3, 6
RECOVERY = 0.6
LIMITS: dict[str, float] = {"threshold": 5, "window": 30.0, "recovery": RECOVERY, "probe": 20.0}

pytestmark = needs_redis


class Process:
    """A caller in a process of its own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.executors.caller", settings.REDIS_URL],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.pid = self._process.pid

    def tell(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()

    def hear(self) -> str:
        assert self._process.stdout is not None
        return str(self._process.stdout.readline().decode().strip())

    def kill(self) -> None:
        self._process.kill()  # SIGKILL; again is no error
        self._process.wait()

    def close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()  # at the end of its input it ends
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()


class Call(NamedTuple):
    at: float
    pid: int
    probe: str


class Participant:
    """Counts the calls that arrive; each is answered when, and as, the test says."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.status = 500
        self.answering = threading.Event()
        self.answering.set()
        self._lock = threading.Lock()
        self.server = Server(self._serve)

    def _serve(self, peer: Peer) -> None:
        while True:
            request = peer.read()
            pid, probe = re.search(rb"Pid: (\d+)", request), re.search(rb"Probe: (\w+)", request)
            assert pid is not None
            assert probe is not None
            with self._lock:
                self.calls.append(Call(time.monotonic(), int(pid[1]), probe[1].decode()))
            peer.wait_for(self.answering)
            peer.send(http(self.status))

    def wait_for(self, condition: Callable[[], bool], seconds: float = 20) -> None:
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, self.calls
            time.sleep(0.005)


class Fleet:
    """Processes that know one participant, under a breaker of a name that nobody used before."""

    def __init__(self, processes: list[Process], participant: Participant, **limits: float) -> None:
        self.processes = processes
        self.participant = participant
        self._order = {
            "name": uuid4().hex,
            "url": participant.server.url,
            "limits": LIMITS | limits,
        }

    def call(self, number: int) -> bool:
        """One call of that process; whether it was sent."""
        process = self.processes[number % len(self.processes)]
        process.tell(self._order)
        sent: int = json.loads(process.hear())["sent"]
        return bool(sent)

    def open(self) -> None:
        """Let it fail until the breaker is open."""
        assert all(self.call(number) for number in range(5))
        assert len(self.participant.calls) == 5

    def flood(self, seconds: float) -> None:
        """Have all processes ask from many threads, without a pause."""
        for process in self.processes:
            process.tell(self._order | {"threads": THREADS, "seconds": seconds})

    def hear(self) -> list[dict[str, int]]:
        """What came of a flood, for each process that still lives."""
        return [json.loads(line) for process in self.processes if (line := process.hear())]


@pytest.fixture(scope="module")
def processes() -> Iterator[list[Process]]:
    started = [Process() for _ in range(PROCESSES)]
    assert [process.hear() for process in started] == ["ready"] * PROCESSES
    yield started
    for process in started:
        process.close()


@pytest.fixture
def participant() -> Iterator[Participant]:
    made = Participant()
    yield made
    made.server.close()


@pytest.fixture
def fleet(processes: list[Process], participant: Participant) -> Fleet:
    return Fleet(processes, participant)


def test_failures_of_several_processes_open_it_for_all(fleet, participant):
    for number in range(4):
        assert fleet.call(number)
    assert len({call.pid for call in participant.calls}) == PROCESSES
    assert fleet.call(4), "four failures are not five"
    assert not any(fleet.call(number) for number in range(PROCESSES * 2))
    assert len(participant.calls) == 5


def test_while_it_is_open_no_call_arrives_and_then_one_however_many_ask(fleet, participant):
    fleet.open()
    opened = participant.calls[-1].at
    participant.answering.clear()
    fleet.flood(RECOVERY * 3)
    participant.wait_for(lambda: len(participant.calls) > 5)
    probe = participant.calls[5]
    assert probe.probe != "none"
    assert probe.at - opened >= RECOVERY - 0.01
    held = participant.calls[5:]
    time.sleep(RECOVERY)
    assert participant.calls[5:] == held, "a second call while the probe is under way"
    participant.answering.set()  # it fails
    fleet.hear()
    later = participant.calls[5:]
    assert all(call.probe != "none" for call in later)
    between = [after.at - before.at for before, after in pairwise(later)]
    assert all(gap >= RECOVERY - 0.01 for gap in between), between


def test_a_probe_that_succeeds_lets_all_through_again(fleet, participant):
    fleet.open()
    participant.status = 200
    fleet.flood(RECOVERY * 2.5)
    told = fleet.hear()
    probe, *others = participant.calls[5:]
    assert probe.probe != "none"
    assert {call.probe for call in others} == {"none"}
    assert len({call.pid for call in others}) > 1
    assert sum(one["sent"] for one in told) == 1 + len(others)


def test_a_prober_that_is_killed_does_not_keep_it_open_for_ever(participant):
    processes = [Process() for _ in range(PROCESSES)]
    try:
        assert [process.hear() for process in processes] == ["ready"] * PROCESSES
        fleet = Fleet(processes, participant, probe=1.0)
        fleet.open()
        participant.answering.clear()
        fleet.flood(30)
        participant.wait_for(lambda: len(participant.calls) > 5)
        lost = participant.calls[5]
        victim = next(process for process in processes if process.pid == lost.pid)
        victim.kill()
        participant.status = 200
        participant.answering.set()
        participant.wait_for(lambda: len(participant.calls) > 10)
        successor, *others = participant.calls[6:]
        assert successor.probe not in ("none", lost.probe)
        assert successor.pid != lost.pid
        assert successor.at - lost.at >= 1.0 - 0.3  # the token is older than the call's arrival
        assert {call.probe for call in others} == {"none"}
    finally:
        for process in processes:
            process.kill()
            process.close()
