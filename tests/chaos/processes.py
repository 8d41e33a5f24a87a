"""The processes of the run: started, killed, and started again when they end by themselves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from tests.acceptance.service import children

ROOT = Path(__file__).resolve().parents[2]
_GRACE = 20.0
"""Seconds in which a process that was asked to end must have ended: a lease, and then some."""


def eventually(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until the condition holds. Raises TimeoutError when it does not in time."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(0.05)


class Slot:
    """The place of one program, with the processes that it starts; in a session of its own."""

    def __init__(self, name: str, command: list[str], env: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.ended_by_itself: Counter[int] = Counter()
        """How often it ended without being told to, by exit status."""

        self.slow_to_end = 0
        self._command = command
        self._env = dict(env)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._leaving: list[tuple[subprocess.Popen[bytes], float]] = []
        self._not_before = 0.0

    def start(self) -> None:
        """Start it, unless it runs."""
        if self._process is not None and self._process.poll() is None:
            return
        tied = [sys.executable, "-m", "tests.chaos.tied", str(os.getpid()), sys.executable]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*tied, *self._command],
                cwd=ROOT,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def look(self) -> None:
        """As a machine's supervisor would: start it again a second after it ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            self.ended_by_itself[self._process.returncode] += 1
            self._process = None
            self._not_before = time.monotonic() + 1
        elif self._process is None and 0 < self._not_before < time.monotonic():
            self._not_before = 0.0
            self.start()
        self._let_go(time.monotonic())

    def processes(self) -> list[int]:
        """The ids of the processes that it has started, not its own."""
        return [] if self._process is None else children(self._process.pid)

    def kill(self) -> list[int]:
        """kill -9 of all its processes; the ids of those that it had started."""
        self._not_before = 0.0
        if self._process is None:
            return []
        found = self.processes()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        return found

    def replace(self) -> bool:
        """SIGTERM, and start another at once; whether there was one to be told to end."""
        if self._process is None or self._process.poll() is not None:
            return False
        self._process.terminate()
        self._leaving.append((self._process, time.monotonic() + _GRACE))
        self._process = None
        self.start()
        return True

    def close(self) -> None:
        """End all of it, whatever state it is in."""
        if self._process is not None and self._process.poll() is None:
            self._resume(self._process.pid)
            self._process.terminate()
            self._leaving.append((self._process, time.monotonic() + _GRACE))
        self._process = None
        self._not_before = 0.0
        while self._leaving:
            self._let_go(time.monotonic())
            time.sleep(0.05)

    def end_at_once(self) -> None:
        """End all of it without waiting for calls in flight."""
        self.kill()
        for process, _ in self._leaving:
            self._kill_group(process)
        self._leaving.clear()

    def _let_go(self, now: float) -> None:
        for process, until in list(self._leaving):
            if process.poll() is None and now > until:
                self.slow_to_end += 1
                self._kill_group(process)
            if process.poll() is not None:
                self._leaving.remove((process, until))

    def _resume(self, group: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGCONT)

    def _kill_group(self, process: subprocess.Popen[bytes]) -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
