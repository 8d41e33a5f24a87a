"""Where processes spend their time: py-spy beside a run, if it is installed."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks import accounting

_OWN = ("benchmarks", "executors", "sagaproject", "sagas")


PROFILER = "py-spy"


class Profile:
    """Samples one process while it works."""

    def __init__(self, what: str, pid: int, seconds: int) -> None:
        self.what = what
        self._lines = Path(tempfile.mkstemp(prefix="saga-bench-profile-")[1])
        options = ["--format", "raw", "--nonblocking", "--gil", "--rate", "200", "--pid", str(pid)]
        self._process = subprocess.Popen(
            [PROFILER, "record", *options, "--duration", str(seconds), "--output", self._lines],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},
        )

    def text(self) -> str:
        """Once it has ended: the functions that took most."""
        try:
            self._process.wait(120)
            return f"{self.what}\n{summary(self._lines.read_text())}"
        finally:
            self._process.kill()
            self._process.wait()
            self._lines.unlink()


def busiest(root: int) -> int:
    """Of the processes below one, which only watches them, the one that has used most CPU."""
    known = accounting.processes()
    return max(accounting.tree([root], known) - {root}, key=lambda pid: known[pid].seconds)


def summary(stacks: str) -> str:
    """Shares of the time that Python ran: in a function alone, in what a package's functions do
    alone, and in a function of the project with all that it calls."""
    alone: Counter[str] = Counter()
    packages: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, number = line.rpartition(" ")
        frames = [_function(frame) for frame in stack.split(";")]
        alone[frames[-1]] += int(number)
        packages[_package(frames[-1])] += int(number)
        for frame in set(frames):
            if _package(frame) in _OWN:
                within[frame] += int(number)
    total = sum(alone.values()) or 1

    def listed(title: str, counts: Counter[str], most: int) -> list[str]:
        return [title, *(f"{n / total:8.1%}  {name}" for name, n in counts.most_common(most))]

    return "\n".join(
        [
            f"{total} samples",
            *listed("   packages, alone", packages, 15),
            *listed("   functions, alone", alone, 30),
            *listed("   the project's functions, with what they call", within, 50),
        ]
    )


def _function(frame: str) -> str:
    """Without the line: `drive (sagas/engine/drive.py:12)` is one function on all its lines."""
    return frame.rsplit(":", 1)[0] + ")" if frame.endswith(")") and ":" in frame else frame


def _package(frame: str) -> str:
    """`django` of `execute (django/db/models/query.py)`."""
    return frame.rpartition("(")[2].rstrip(")").split("/")[0]
