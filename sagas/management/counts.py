"""Where the processes of a service instance keep what they count, and one address that tells it.

An instance is what one address answers for: an API, or the workers of a machine. Its processes
share a folder, which outlives each of them, so that no number shrinks while one of them lives.
Without Django, as the supervisor of the workers is.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
PROCESS = "SAGA_METRICS_PROCESS"
"""Names a process by its place: who takes a dead one's place goes on with its numbers."""

_AGAIN = 5.0
"""Seconds after which a port that was taken is tried again."""


def share(folder: Path) -> None:
    """Have this process, and those that it becomes or starts, count into the folder.

    What is there is of processes that are gone, and is deleted, unless others share the folder
    now: then it is kept. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pass
    else:
        for file in folder.glob("*.db"):
            file.unlink()
    fcntl.flock(lock, fcntl.LOCK_SH)
    # The lock is let go with the last process that has inherited it.
    os.set_inheritable(lock, True)
    os.environ[VARIABLE] = str(folder)


class Endpoint:
    """Answers `/metrics` for all processes that share the folder, at one address."""

    def __init__(self, address: str) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._open = self._port == 0
        self._not_before = 0.0

    def look(self) -> None:
        """Listen, unless that is done; where another has the port, a line says so once.

        It may be another supervisor that shares the folder: then that one answers for all, and
        this one does when the other is gone.
        """
        if self._open or time.monotonic() < self._not_before:
            return
        from prometheus_client import CollectorRegistry, start_http_server
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        try:
            start_http_server(self._port, self._host, registry)
        except OSError as error:
            if not self._not_before:
                why = f"no metrics at {self._host}:{self._port}, tried again: {error.strerror}"
                # Without Django, so a line as its JSON logs have it.
                sys.stderr.write(json.dumps({"level": "warning", "message": why}) + "\n")
            self._not_before = time.monotonic() + _AGAIN
        else:
            self._open = True
