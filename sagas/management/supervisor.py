"""Keeps a number of processes running: one that dies takes no other with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from threading import Event

from sagas.management.counts import PROCESS, Endpoint

_LONG_ENOUGH = 10.0
"""Seconds after which a process counts as having started well."""

_LONGEST_PAUSE = 5.0
"""Seconds; short, as a saga whose code kills its process may do so a few times."""


class Supervisor:
    """Runs `number` processes of one command until it is told to stop; tells their metrics."""

    def __init__(self, command: list[str], number: int, endpoint: Endpoint) -> None:
        self._slots = [_Slot(command, f"{os.getpid()}-{place}") for place in range(number)]
        self._endpoint = endpoint
        self._told = Event()

    def run(self) -> int:
        """Start them, and again whichever dies; 0 when all ended in order after SIGTERM."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self._told.set())
        while not self._told.wait(0.2):
            for slot in self._slots:
                slot.look()
            self._endpoint.look()
        for slot in self._slots:
            slot.end()
        return max((slot.wait() for slot in self._slots), default=0)


class _Slot:
    """The place of one process."""

    def __init__(self, command: list[str], name: str) -> None:
        self._command = command
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._not_before = 0.0
        self._pause = 0.5

    def look(self) -> None:
        """Start the process if it does not run; after short lives, with growing pauses."""
        now = time.monotonic()
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                return
            if now - self._started > _LONG_ENOUGH:
                self._pause = 0.5
            # Without Django here, to stay small; so a line as its JSON logs have it.
            line = {"level": "error", "message": f"process ended with {code}, another starts"}
            sys.stderr.write(json.dumps(line) + "\n")
            self._process = None
            self._not_before = now + self._pause
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        if now >= self._not_before:
            # Who is still starting when this process dies could not tell its parent's id later.
            self._process = subprocess.Popen(
                [*self._command, str(os.getpid())],
                env={**os.environ, PROCESS: self._name},
                close_fds=False,  # what is inheritable is meant to be: the metrics' lock
            )
            self._started = now

    def end(self) -> None:
        """Ask the process to end in order."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def wait(self) -> int:
        """The process's exit status; 0 also when SIGTERM found it before it had begun."""
        code = self._process.wait() if self._process is not None else 0
        return 0 if code == -signal.SIGTERM else abs(code)


if __name__ == "__main__":
    _number, _address, *_command = sys.argv[1:]
    sys.exit(Supervisor(_command, int(_number), Endpoint(_address)).run())
