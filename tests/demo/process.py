"""`manage.py demo` as a process, on free ports."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

ROOT = Path(__file__).resolve().parents[2]
ANY_PORTS = ("--port", "0", "--inventory-port", "0", "--payment-port", "0", "--sales-port", "0")
UP = "Running until Ctrl-C."

# Faster still than the demo's own numbers; a breaker that opened would only cost time.
QUICK = {
    "SAGA_CALL_TIMEOUT_MS": "300",
    "SAGA_RETRY_DELAY_MS": "50",
    "SAGA_LEASE_MS": "2000",
    "SAGA_FAILURE_THRESHOLD": "100",
}


class Demo:
    """A demo and what it has printed so far."""

    def __init__(self, folder: Path, state: Path, options: tuple[str, ...]) -> None:
        self.output = ""
        self.state = state
        self.errors = folder / f"stderr-{uuid4()}"
        command = ["manage.py", "demo", "--state", str(state), *ANY_PORTS, *options]
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env={**os.environ, **QUICK},
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
            )

    def read_until(self, text: str) -> str:
        """Everything printed, once a line has that text. Raises AssertionError at the end."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.output += line
            if text in line:
                return self.output
        raise AssertionError(f"{text!r} never came:\n{self.output}\n{self.errors.read_text()}")

    def rest(self) -> str:
        """Everything printed, once it has ended."""
        assert self.process.stdout
        self.output += self.process.stdout.read()
        self.process.wait(20)
        return self.output

    def address(self, name: str) -> str:
        """An address from its first lines."""
        (line,) = (line for line in self.output.splitlines() if line.split()[:1] == [name])
        return line.split()[1]

    def end(self, number: int) -> int:
        """Send the signal; the exit status."""
        self.process.send_signal(number)
        self.rest()
        return self.process.returncode

    def children(self) -> set[int]:
        """The processes that it started, as Linux knows them."""
        return {pid for pid, (parent, _) in _processes().items() if parent == self.process.pid}

    def close(self) -> None:
        """Leave nothing running."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()


def alive(pids: set[int]) -> set[int]:
    """Those that have not ended; one that only waits to be buried has."""
    processes = _processes()
    return {pid for pid in pids if pid in processes and processes[pid][1] not in "ZX"}


def _processes() -> dict[int, tuple[int, str]]:
    """Parent and state of every process."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        found[int(stat.parent.name)] = (int(fields[1]), fields[0])
    return found
