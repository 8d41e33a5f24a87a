"""What counts: faults that struck, recoveries, and the verdict."""

import json
import os
import socket
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any, cast

import pytest

from tests.acceptance.service import children
from tests.chaos import broker
from tests.chaos.client import Answer, Told
from tests.chaos.load import Load
from tests.chaos.processes import Slot, eventually
from tests.chaos.recovery import Mark, Recovery, longest_and_median, recoveries
from tests.chaos.report import GOOD, NO_PROOF, VIOLATED, doubts, lines, verdict
from tests.chaos.run import Options, Result
from tests.chaos.struck import Kill, Struck
from tests.chaos.system import proxy_to
from tests.proxy import Proxy


def test_only_what_struck_is_counted() -> None:
    struck = Struck(["redis_flush", "api_kill"])
    struck.plan("redis_flush")
    struck.plan("api_kill")
    struck.count("redis_flush", 0)
    struck.count("api_kill", 2)
    assert struck.table() == [("redis_flush", 1, 0, 0), ("api_kill", 1, 1, 2)]
    assert struck.never == ["redis_flush"]
    assert struck.total == 1


def test_a_fault_counts_once_however_often_it_hits() -> None:
    struck = Struck(["messages_delayed", "network_drip"])
    struck.count("messages_delayed", 70)
    struck.count("network_drip", 5, faults=2)
    assert struck.total == 3
    assert [row[3] for row in struck.table()] == [70, 5]


def test_a_proxy_tells_hits_from_faults() -> None:
    def ask(proxy: Proxy, line: bytes) -> None:
        with socket.create_connection(("127.0.0.1", proxy.port), 10) as caller:
            caller.sendall(line + b"\r\nContent-Length: 0\r\n\r\n")
            with suppress(ConnectionResetError):
                caller.recv(100)

    with proxy_to("http://127.0.0.1:9", seed=1) as proxy:
        for match in (b"/often", b"/once", b"/never"):
            proxy.fault("reset_before", times=3, match=match)
        for path in (b"/often", b"/often", b"/once"):
            ask(proxy, b"GET " + path + b" HTTP/1.1")
        assert proxy.struck["reset_before"] == 3
        assert proxy.faults_that_struck("reset_before") == 2
        proxy.fault("refuse", seconds=0.01)
        assert proxy.faults_that_struck("refuse") == 1


# --- Recovery ---------------------------------------------------------------------------------


def marks(*rows: tuple[str, str, float], saga: str = "a") -> list[Mark]:
    return [Mark(saga, seq, *row) for seq, row in enumerate(rows, 1)]


def test_a_recovery_lasts_from_the_kill_to_the_next_worker() -> None:
    history = marks(
        ("claimed", "host:11:x", 1.0),
        ("attempt_started", "host:11:x", 1.0),
        ("claimed", "host:22:y", 9.5),
        ("attempt_started", "host:22:y", 9.5),
    )
    assert recoveries([Kill(2.0, frozenset({11}))], history) == [Recovery("a", 2.0, 7.5)]


def test_a_saga_that_nobody_took_over_is_found() -> None:
    history = marks(("claimed", "host:11:x", 1.0), ("attempt_started", "host:11:x", 1.0))
    assert recoveries([Kill(2.0, frozenset({11}))], history) == [Recovery("a", 2.0, None)]


def test_a_saga_that_its_worker_had_let_go_or_ended_was_not_being_driven() -> None:
    waits = marks(("attempt_started", "host:11:x", 1.0), ("attempt_failed", "host:11:x", 1.2))
    ended = marks(
        ("attempt_started", "host:11:x", 1.0), ("saga_completed", "host:11:x", 1.2), saga="b"
    )
    assert recoveries([Kill(2.0, frozenset({11}))], waits + ended) == []


def test_workers_that_live_and_people_have_no_recoveries() -> None:
    history = marks(("attempt_started", "host:12:x", 1.0), ("execute_requested", "api", 1.1))
    assert recoveries([Kill(2.0, frozenset({11}))], history) == []


def test_longest_and_median() -> None:
    found = [Recovery("a", 0, seconds) for seconds in (7.0, None, 8.0, 7.5)]
    assert longest_and_median(found) == (8.0, 7.5)
    assert longest_and_median([]) == (0.0, 0.0)


# --- Verdict ----------------------------------------------------------------------------------


@pytest.fixture
def result(tmp_path: Path) -> Result:
    options = Options(seed=1, seconds=1, sagas=1, workers=1, kinds=("redis_flush",))
    told = Told(tmp_path / "clients.jsonl")
    told.close()
    load = Load(cast(Any, None), [], "test")
    return Result(options=options, struck=Struck(options.kinds), told=told, load=load)


def test_too_few_faults_are_no_proof(result: Result) -> None:
    result.struck.count("redis_flush", 50)
    result.struck.count("redis_flush", 50)
    assert verdict(result, least=2) == GOOD
    assert verdict(result, least=3) == NO_PROOF
    assert doubts(result, least=3) == ["2 faults struck, and not 3 at least"]


@pytest.mark.parametrize(("others", "status"), [(1, GOOD), (2, NO_PROOF)])
def test_without_half_of_the_kinds_it_is_no_proof(result: Result, others: int, status: int) -> None:
    kinds = ("redis_flush", "api_kill", "shop_late")[: 1 + others]
    result.options, result.struck = replace(result.options, kinds=kinds), Struck(kinds)
    for _ in range(9):
        result.struck.count("redis_flush")
    assert verdict(result, least=2) == status
    assert [text.endswith("never struck: api_kill, shop_late") for text in doubts(result, 2)] == (
        [True] if status else []
    )


def test_any_violation_is_a_failure(result: Result) -> None:
    result.verified = {"violations": [{"invariant": 3, "saga": "a", "text": "twice"}]}
    assert verdict(result, least=0) == VIOLATED
    assert "  invariant 3: a twice" in list(lines(result))


def test_a_problem_that_only_a_client_saw_is_a_failure(result: Result) -> None:
    result.load.problems.append("a key was answered with two sagas")
    assert verdict(result, least=0) == VIOLATED


def test_a_kind_that_never_struck_is_shown_as_such(result: Result) -> None:
    result.struck.plan("redis_flush")
    assert any("redis_flush" in line and "never" in line for line in lines(result))


def test_requests_without_an_answer_are_called_so(result: Result) -> None:
    result.told.answers.update({("create", 0): 999, ("create", 201): 394})
    assert any("no answer: 999, 201: 394" in line for line in lines(result))


def test_without_a_recovery_there_is_none_to_measure(result: Result) -> None:
    assert "  until another went on          none to measure" in list(lines(result))
    assert not any("none of those killed" in line for line in lines(result))
    result.struck.killed([11])
    assert any("none of those killed was driving a saga" in line for line in lines(result))


def test_a_recovery_is_measured(result: Result) -> None:
    result.recoveries = [Recovery("a", 0, 7.5)]
    assert any("7.5 s at most, 7.5 s median" in line for line in lines(result))
    assert not any("none " in line for line in lines(result))


def test_what_clients_were_told_is_written_down(tmp_path: Path) -> None:
    told = Told(tmp_path / "told")
    told.note("create", "k", b"{}", Answer(201, {"id": "a"}), "a")
    told.note("create", "k", b"{}", Answer(500, {}), None)
    told.close()
    first = json.loads((tmp_path / "told").read_text().splitlines()[0])
    assert (first["op"], first["key"], first["status"], first["saga_id"]) == (
        "create", "k", 201, "a",
    )  # fmt: skip
    assert len(told.odd) == 1  # nobody expects a 500
    assert told.sagas == {"a"}
    assert told.answers == {("create", 201): 1, ("create", 500): 1}


# --- Messages and processes -------------------------------------------------------------------


class Fake:
    """A Redis with one message."""

    def __init__(self) -> None:
        self.queue = [b"message"]
        self.stop = Event()

    def bzpopmin(self, *_: object, **__: object) -> Any:
        self.stop.set()
        return b"key", self.queue.pop(), 1.0

    def zadd(self, _: str, messages: dict[bytes, float]) -> None:
        self.queue += messages

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("kind", "left"), [("messages_dropped", 0), ("messages_doubled", 2), ("messages_delayed", 1)]
)
def test_messages_are_struck(monkeypatch: pytest.MonkeyPatch, kind: str, left: int) -> None:
    monkeypatch.setattr(broker, "_THIEVES", 1)
    redis, struck = Fake(), Struck([kind])
    broker.steal(lambda: redis, kind, 60, redis.stop, struck.count)
    assert redis.queue == [b"message"] * left
    assert struck.total == 1


def test_a_process_that_ends_by_itself_is_started_again_and_one_that_is_closed_is_not(
    tmp_path: Path,
) -> None:
    command = ["-c", "import os, time; print(os.getpid(), flush=True); time.sleep(60)"]
    slot = Slot("sleeper", command, {"PATH": os.defpath}, tmp_path / "log")

    def started() -> list[int]:
        return [int(line) for line in (tmp_path / "log").read_text().split()]

    def twice() -> bool:
        slot.look()
        return len(started()) == 2

    slot.start()
    try:
        eventually(lambda: len(started()) == 1, 10, "it runs")
        os.kill(started()[0], 9)
        eventually(twice, 10, "it runs again")
        assert slot.ended_by_itself == {-9: 1}
        assert started()[1] in children(os.getpid())
        assert slot.replace()
        eventually(lambda: len(started()) == 3, 10, "another runs in its place")
    finally:
        slot.close()
    slot.look()
    assert not set(started()) & set(children(os.getpid()))
