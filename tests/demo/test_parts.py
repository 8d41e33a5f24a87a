"""The demo's smaller parts."""

from __future__ import annotations

import io
import socket
from pathlib import Path
from typing import Any

import pytest

from sagas.demo.environment import embedded, to_verify
from sagas.demo.folder import state_folder
from sagas.demo.ports import HOST, Port, require_free
from sagas.demo.screen import Screen
from sagas.demo.stop import DemoError
from sagas.demo.timeline import Attempt, Note, Timeline


def test_the_environment_has_no_other_server_and_keeps_a_persons_own_numbers() -> None:
    given = {
        "DATABASE_URL": "postgresql://elsewhere/db",
        "DB_HOST": "elsewhere",
        "REDIS_URL": "redis://elsewhere",
        "REDIS_HOST": "elsewhere",
        "NODE_ENV": "production",
        "PARTICIPANT_PAYMENT_URL": "https://payments.example.org",
        "SAGA_RETRY_DELAY_MS": "50",
        "SAGA_LEASE_MS": "",
        "PATH": "/bin",
    }
    found = embedded(given, state="/state", urls={"payment": "http://here"}, password="secret")
    assert "elsewhere" not in " ".join(found.values())
    assert "NODE_ENV" not in found
    assert found["PARTICIPANT_PAYMENT_URL"] == "http://here"
    assert found["SAGA_STATE_DIR"] == "/state"
    assert (found["SAGA_RETRY_DELAY_MS"], found["SAGA_LEASE_MS"]) == ("50", "3000")
    assert found["PATH"] == "/bin"


def test_the_command_to_verify_names_what_is_not_the_shells_own() -> None:
    urls = {"payment": "http://127.0.0.1:8102"}
    found = embedded({"SAGA_MAX_RETRIES": "5"}, state="/the state", urls=urls, password="secret")
    own = "SAGA_STATE_DIR='/the state' SAGA_MAX_RETRIES=5 SAGA_RETRY_DELAY_MS=200"
    command = "./run verify --participants"
    assert to_verify(found, state="/the state", urls=urls, known=urls) == [f"{own} \\", command]
    assert to_verify(found, state="/the state", urls=urls, known={}) == [
        "PARTICIPANT_PAYMENT_URL=http://127.0.0.1:8102 SAGA_STATE_DIR='/the state' \\",
        f"SAGA_MAX_RETRIES=5 SAGA_RETRY_DELAY_MS=200 {command}",
    ]
    found = embedded({}, state=".state/demo", urls=urls, password="secret")
    assert to_verify(found, state=".state/demo", urls=urls, known=urls) == [
        f"SAGA_STATE_DIR=.state/demo SAGA_RETRY_DELAY_MS=200 {command}"
    ]


def test_only_the_demos_own_files_are_ever_deleted(tmp_path: Path) -> None:
    (tmp_path / "sagas.sqlite3").touch()
    (tmp_path / "shop").mkdir()
    (tmp_path / "thesis.txt").touch()
    with state_folder(tmp_path) as folder:
        password = folder.password()
        folder.empty()
        assert folder.password() != password
    assert {path.name for path in tmp_path.iterdir()} == {"lock", "thesis.txt", "admin-password"}


def test_the_password_is_kept(tmp_path: Path) -> None:
    with state_folder(tmp_path) as folder:
        password = folder.password()
    with state_folder(tmp_path) as folder:
        assert folder.password() == password
    assert (tmp_path / "admin-password").stat().st_mode & 0o077 == 0


def test_a_folder_has_one_demo_at_a_time(tmp_path: Path) -> None:
    second = state_folder(tmp_path)
    with state_folder(tmp_path), pytest.raises(DemoError, match="another demo"), second:
        pass
    with state_folder(tmp_path):
        pass


def test_all_ports_in_use_are_told_in_one_line() -> None:
    with socket.create_server((HOST, 0)) as one, socket.create_server((HOST, 0)) as two:
        ports = [
            Port(owner, server.getsockname()[1], f"--{owner}", owner.upper())
            for owner, server in (("one", one), ("two", two))
        ]
        with pytest.raises(DemoError) as raised:
            require_free([*ports, Port("any", 0, "", ""), Port("other", 0, "", "")])
    assert str(raised.value) == (
        f"port {ports[0].number} of one (choose another with --one or ONE) is in use; "
        f"port {ports[1].number} of two (choose another with --two or TWO) is in use"
    )


def test_a_port_cannot_serve_two() -> None:
    twice = [Port(owner, 8101, "--option", "VARIABLE") for owner in ("one", "two")]
    with pytest.raises(DemoError, match=r"port 8101 of one .* twice; port 8101 of two .* twice"):
        require_free(twice)


class Terminal(io.TextIOWrapper):
    """Something that says it is a terminal."""

    def __init__(self, encoding: str = "utf-8") -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding=encoding)

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environ", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colour_is_for_terminals_that_want_it(environ: dict[str, str], coloured: bool) -> None:
    out = Terminal()
    screen = Screen(out, environ)
    screen.line(screen.paint("✓", "green"))
    assert out.bytes.getvalue().decode() == ("\x1b[32m✓\x1b[0m\n" if coloured else "✓\n")


def test_a_terminal_without_unicode_gets_something_as_good() -> None:
    out = Terminal("ascii")
    Screen(out, {"NO_COLOR": "1"}).line("✓ 2 × 3 …")
    assert out.bytes.getvalue() == b"+ 2 x 3 ...\n"


def test_others_words_cannot_move_the_cursor() -> None:
    out = Terminal()
    Screen(out, {"NO_COLOR": "1"}).wrapped("red \x1b[31malert\r\n", 2)
    assert out.bytes.getvalue().decode() == "  red  [31malert\n"


SAGA = {"steps": [{"name": "process_payment", "compensation": "refund_payment"}]}


def history(*kinds: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "seq": seq,
            "kind": kind,
            "at": f"2030-01-01T00:00:00.{seq:02}0000Z",
            "reason": "",
            "data": data,
        }
        for seq, (kind, data) in enumerate(kinds, start=1)
    ]


CALL = {"step": "process_payment", "call": "action", "attempt": 1}
LOST = {
    **CALL,
    "in_doubt": True,
    "error": "payment gave no answer",
    "request": {"participant": "payment"},
    "retry_at": "2030-01-01T00:00:00.530000+00:00",
    "duration_ms": 12.3,
}
EVENTS = history(
    ("saga_created", {"steps": ["process_payment"]}),
    ("execute_requested", {}),
    ("attempt_failed", LOST),
    ("attempt_interrupted", CALL | {"attempt": 2, "error": "the worker vanished"}),
    ("attempt_held", CALL | {"attempt": 3, "reason": "breaker open", "due_at": LOST["retry_at"]}),
    ("compensation_triggered", {"reason": "it failed"}),
    ("attempt_succeeded", CALL | {"call": "compensation", "answer": {"status": 200}}),
    ("saga_compensated", {}),
)


def test_events_become_lines() -> None:
    timeline = Timeline(SAGA)
    lines = list(timeline.read(EVENTS))
    attempts = [line for line in lines if isinstance(line, Attempt)]
    notes = [line for line in lines if isinstance(line, Note)]
    assert [(a.mark, a.name, a.number, a.outcome, a.detail) for a in attempts] == [
        ("?", "process_payment", 1, "in doubt", "gave no answer"),
        ("?", "process_payment", 2, "in doubt", "the worker vanished"),
        ("·", "process_payment", 3, "not sent", "breaker open"),
        ("✓", "refund_payment", 1, "200", ""),
    ]
    assert [note.text for note in notes] == [
        "execute",
        "waits 500 ms, then sends the same call again under the same key",
        "waits 480 ms; nothing was sent, and no attempt is used up",
        "compensating: it failed",
        "compensated",
    ]
    assert [attempt.participant for attempt in attempts[:3]] == ["payment"] * 3
    assert (attempts[0].at_ms, attempts[0].took_ms) == (10, 12.3)
    assert timeline.ended == "compensated"


def test_events_are_shown_once() -> None:
    timeline = Timeline(SAGA)
    first = list(timeline.read(EVENTS[:3]))
    assert list(timeline.read(EVENTS[:3])) == []
    assert len(first) + len(list(timeline.read(EVENTS))) == 9


def test_what_is_known_already_is_not_shown_but_used() -> None:
    (line,) = Timeline(SAGA, after=3).read(EVENTS[:4])
    assert isinstance(line, Attempt)
    assert (line.participant, line.at_ms) == ("payment", 0)
