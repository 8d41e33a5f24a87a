"""Odd arguments at a shell: a clear error, no traceback, an exit status, and nothing changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from sagas import seeding, services
from sagas.models import Saga
from tests.acceptance.service import ROOT
from tests.input.guard import Guard

pytestmark = pytest.mark.xdist_group("input")

NONE = "01234567-89ab-cdef-0123-456789abcdef"
NO_TEXT = os.fsdecode(b"\xff")
ODD: list[tuple[list[str], str]] = [
    (["saga", "dance"], "invalid choice"),
    (["saga", "list", "--limit", "-1"], "from 1 to"),
    (["saga", "list", "--limit", "9" * 30], "from 1 to"),
    (["saga", "list", "--type", NO_TEXT], "no UTF-8"),
    (["saga", "show", "nope"], "invalid UUID"),
    (["saga", "show", NONE], f"there is no saga {NONE}"),
    (["saga", "execute", NONE], f"there is no saga {NONE}"),
    (["saga", "execute", "{saga}", "--reason", NO_TEXT], "no UTF-8"),
    (["saga", "compensate", "{saga}", "--reason", "x" * 1001], "more than 1000"),
    (["saga", "retry", "{saga}"], "allowed now: compensate, execute"),
    (["saga", "execute", "{saga}", "extra"], "unrecognized arguments"),
    (["seed", "extra"], "unrecognized arguments"),
    (["api_key", "create", "a b", "--scope", "read"], "letters, digits"),
    (["api_key", "create", NO_TEXT, "--scope", "read"], "letters, digits"),
    (["api_key", "revoke", "nope"], "there is no such key"),
]


# One start of Python and Django for all: each command runs in a child of its own.
FORKS = """
import json, os, sys
import django, django.core.management, manage
os.environ["DJANGO_SETTINGS_MODULE"] = "sagaproject.settings"
os.environ |= {"LOG_LEVEL": "warning", "LOG_FORMAT": "text"}
django.setup()
django.core.management.call_command("check", stdout=sys.stderr)  # imports what each would
for number, arguments in enumerate(json.loads(sys.argv[1])):
    child = os.fork()
    if child == 0:
        for stream, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(f"{sys.argv[2]}/{number}.{name}", os.O_WRONLY | os.O_CREAT), stream)
        sys.argv = ["manage.py", *arguments]
        manage.main()
        sys.exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@dataclass(frozen=True, slots=True)
class Told:
    """What a command said, and with which status it ended."""

    status: int
    out: str
    err: str


def environment(guard: Guard) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SAGA_STATE_DIR": str(guard.service.folder / "state"),
        "DATABASE_URL": guard.service.postgres.url,
        "REDIS_URL": guard.service.redis.url,
    }


def run(guard: Guard, folder: Path, *commands: list[str]) -> list[Told]:
    """What the commands do, one after the other."""
    statuses = subprocess.run(
        [sys.executable, "-c", FORKS, json.dumps(commands), str(folder)],
        env=environment(guard),
        check=True,
        capture_output=True,
    ).stdout.split()
    return [
        Told(
            int(status),
            folder.joinpath(f"{number}.out").read_text(),
            folder.joinpath(f"{number}.err").read_text(),
        )
        for number, status in enumerate(statuses)
    ]


def test_odd_arguments(guard: Guard, tmp_path: Path) -> None:
    pending = guard.service.get("?status=pending&limit=1")["results"][0]["id"]
    before = guard.count()
    commands = [[text.format(saga=pending) for text in arguments] for arguments, _ in ODD]
    for told, (arguments, words) in zip(run(guard, tmp_path, *commands), ODD, strict=True):
        assert told.status in (1, 2), arguments
        assert words in told.err, told
        assert "Traceback" not in told.err
        assert told.out == ""
    assert guard.count() == before


@pytest.mark.parametrize("command", [["saga", "list"], ["saga", "show", NONE], ["seed"]])
def test_a_database_that_is_away(monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    def away(*args: object, **kwargs: object) -> None:
        raise OperationalError("connection refused\n\tIs the server running?")

    for place, name in ((Saga.objects, "order_by"), (services, "get_saga"), (seeding, "seed")):
        monkeypatch.setattr(place, name, away)
    with pytest.raises(CommandError, match="does not answer: connection refused Is the server"):
        call_command(*command)


def test_what_the_shell_prints_cannot_steer_the_terminal(guard: Guard, tmp_path: Path) -> None:
    evil = "fine\n\x1b[2J00000000-forged  completed    purchase_saga"
    saga_id = guard.service.create(execute=False, payment_method=evil[:50])
    did, *shown = run(
        guard,
        tmp_path,
        ["saga", "compensate", saga_id, "--reason", evil],
        ["saga", "list", "--limit", "3"],
        ["saga", "show", saga_id],
    )
    assert did.status == 0
    for text in (did.out, did.err, *(told.out for told in shown)):
        assert "\x1b" not in text
        assert not any(line.startswith("00000000-forged") for line in text.splitlines())
    for told in (did, *shown):
        assert "fine\\n\\x1b[2J00000000" in told.out
