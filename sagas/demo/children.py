"""The demo's other processes: they end with it, however it ends."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

from sagas.demo.folder import StateFolder
from sagas.demo.stop import DemoError

_START = 60.0
_GRACE = 15.0
"""Seconds to start, and to finish the calls in flight when asked to end."""

_MOMENT = 1.0
"""Seconds within which a process whose connections broke is known to have ended, if it has."""


class Child:
    """A process that holds the other end of a pipe, and so notices when the demo is gone."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        folder: StateFolder,
        root: Path,
        environ: Mapping[str, str],
    ) -> None:
        self.name = name
        self.log = folder.log(name)
        with self.log.open("ab") as log:
            self._logged = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=root,
                env=dict(environ),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                pass_fds=[folder.lock],
                # A Ctrl-C is for the demo alone: it ends the others in order.
                start_new_session=True,
            )
        self._printed: SimpleQueue[str] = SimpleQueue()
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def readline(self) -> str:
        """The next line that it prints. Raises DemoError if it ends, or prints none for long."""
        try:
            line = self._printed.get(timeout=_START)
        except Empty:
            line = ""
        if line:
            return line
        self.kill()
        raise DemoError(f"the {self.name} did not start: {self._last_words()}")

    def require_running(self) -> None:
        """Raises DemoError if it has ended."""
        if self._process.poll() is not None:
            status = f"status {self._process.returncode}"
            raise DemoError(f"the {self.name} ended by itself, {status}: {self._last_words()}")

    def stop(self) -> None:
        """Have it finish what it does, and end."""
        self._process.terminate()
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self.kill()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._printed.put(line)
        self._printed.put("")  # it has ended

    def _last_words(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self._logged)
            lines = log.read().decode("utf-8", "replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return f"{said[-1][:300] if said else 'without a word'} (its log: {self.log})"


class Children:
    """All of them; the last started is stopped first."""

    def __init__(self) -> None:
        self._all: list[Child] = []

    def add(self, child: Child) -> Child:
        """Look after one more."""
        self._all.append(child)
        return child

    def require_running(self) -> None:
        """Raises DemoError if one has ended."""
        for child in self._all:
            child.require_running()

    def explain(self) -> None:
        """Raises DemoError if one has ended: that is why the others cannot reach it."""
        until = time.monotonic() + _MOMENT
        while time.monotonic() < until:
            self.require_running()
            time.sleep(0.05)

    def watch(self) -> None:
        """Stay until one ends (DemoError) or a signal comes."""
        while True:
            self.require_running()
            time.sleep(0.2)

    def kill(self) -> None:
        """End all at once."""
        for child in self._all:
            child.kill()

    def stop(self) -> None:
        """End all in order."""
        while self._all:
            self._all.pop().stop()
