"""What processes have used, out of /proc: CPU and memory of trees of processes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """A line of /proc/PID/stat: whose child it is, and its CPU with that of ended children."""

    parent: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Megabytes; what processes share counts once in `pss`, and for each of them in `rss`."""

    pss: float
    rss: float


def parse_stat(text: str) -> Process:
    """The parts that matter of /proc/PID/stat; the name in it may have spaces and brackets."""
    fields = text.rpartition(")")[2].split()
    return Process(int(fields[1]), sum(int(each) for each in fields[11:15]) / _TICK)


def parse_rollup(text: str) -> Memory:
    """/proc/PID/smaps_rollup in megabytes."""
    sizes = {}
    for line in text.splitlines()[1:]:
        name, size = line.split()[:2]
        sizes[name.rstrip(":")] = int(size) / 1024
    return Memory(sizes["Pss"], sizes["Rss"])


def processes() -> dict[int, Process]:
    """All processes of this machine."""
    found = {}
    for folder in _PROC.glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            found[int(folder.name)] = parse_stat((folder / "stat").read_text())
    return found


def tree(roots: Iterable[int], known: dict[int, Process]) -> set[int]:
    """The processes and all below them."""
    below: dict[int, list[int]] = {}
    for pid, process in known.items():
        below.setdefault(process.parent, []).append(pid)
    found: set[int] = set()
    waiting = [pid for pid in roots if pid in known]
    while waiting:
        pid = waiting.pop()
        found.add(pid)
        waiting += below.get(pid, [])
    return found


def cpu(roles: dict[str, list[int]]) -> dict[str, float]:
    """Seconds of CPU, user and system, of each role's processes so far."""
    known = processes()
    return {
        role: sum(known[pid].seconds for pid in tree(roots, known)) for role, roots in roles.items()
    }


def memory(roles: dict[str, list[int]]) -> dict[str, Memory]:
    """What each role's processes hold now."""
    known, found = processes(), {}
    for role, roots in roles.items():
        each = []
        for pid in tree(roots, known):
            with suppress(OSError):
                each.append(parse_rollup((_PROC / str(pid) / "smaps_rollup").read_text()))
        found[role] = Memory(sum(m.pss for m in each), sum(m.rss for m in each))
    return found
