"""The counting of faults: planned, and those that really struck."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kill:
    """A kill -9 of worker processes."""

    at: float
    """When, in seconds since 1970."""

    pids: frozenset[int]


class Struck:
    """How many faults of each kind struck, and what they hit; many threads may count."""

    def __init__(self, kinds: Collection[str]) -> None:
        self.kills: list[Kill] = []
        self.notes: list[tuple[float, str, str]] = []
        """What struck: when, in seconds since 1970, the kind, and more about it."""

        self._lock = threading.Lock()
        self._planned: Counter[str] = Counter()
        self._struck: Counter[str] = Counter()
        self._hits: Counter[str] = Counter()
        self._kinds = tuple(kinds)

    def plan(self, kind: str) -> None:
        """One more of the kind is made now, whether or not it will strike."""
        with self._lock:
            self._planned[kind] += 1

    def count(self, kind: str, hits: int = 1, note: str = "", faults: int = 1) -> None:
        """So many faults that were made hit so often, all together; no hit is no strike."""
        if hits <= 0:
            return
        with self._lock:
            self._struck[kind] += faults
            self._hits[kind] += hits
            self.notes.append((time.time(), kind, f"{int(hits)} {note}".strip()))

    def killed(self, pids: Iterable[int]) -> None:
        """Workers with these processes were killed just now."""
        with self._lock:
            self.kills.append(Kill(time.time(), frozenset(pids)))

    def table(self) -> list[tuple[str, int, int, int]]:
        """Each kind, how many were made, how many of these struck, and how often they hit."""
        with self._lock:
            return [
                (kind, self._planned[kind], self._struck[kind], self._hits[kind])
                for kind in self._kinds
            ]

    def between(self, begin: float, end: float) -> set[str]:
        """The kinds that struck in this time."""
        with self._lock:
            return {kind for when, kind, _ in self.notes if begin <= when <= end}

    @property
    def total(self) -> int:
        """How many faults struck: each once, however often it hit."""
        with self._lock:
            return self._struck.total()

    @property
    def never(self) -> list[str]:
        """The kinds that never struck."""
        return [kind for kind, _, struck, _ in self.table() if not struck]
