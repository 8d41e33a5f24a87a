"""Counting goes on where the disk is full, in memory alone.

prometheus_client maps files that have no blocks yet. Touching a page that there is no room for ends
the process at once (SIGBUS), and then each that takes its place.
"""

from __future__ import annotations

import mmap
import os
from contextlib import suppress

from prometheus_client import mmap_dict, values


class CarefulDict(mmap_dict.MmapedDict):
    """Has its blocks before it is written to; without them nobody sees what is counted."""

    def __init__(self, filename: str) -> None:
        memory = None if _has_room(filename) else os.memfd_create("metrics")
        try:
            super().__init__(filename if memory is None else _name(memory))  # type: ignore[no-untyped-call]
        finally:
            if memory is not None:
                os.close(memory)  # it is open a second time

    def _init_value(self, key: str) -> None:
        # The key with its length, filled up to a multiple of 8; the value and its time.
        if self._used + len(key.encode()) + 4 + 8 + 16 > self._capacity:
            self._grow()
        super()._init_value(key)  # type: ignore[no-untyped-call]

    def _grow(self) -> None:
        size = 2 * self._capacity
        try:
            _reserve(_name(self._f.fileno()), size)
            grown = mmap.mmap(self._f.fileno(), size)
        except OSError:
            grown = mmap.mmap(-1, size)
            grown[: self._capacity] = self._m[:]
        self._m, self._capacity = grown, size


def count_carefully() -> None:
    """Have this process count so; called before it makes the first of its metrics."""
    if hasattr(os, "posix_fallocate") and hasattr(os, "memfd_create"):  # Linux
        values.MmapedDict = CarefulDict  # type: ignore[assignment, attr-defined]


def _has_room(filename: str) -> bool:
    """Whether the file has all its blocks now; if not, it is not there empty."""
    try:
        _reserve(filename, mmap_dict._INITIAL_MMAP_SIZE)
    except OSError:
        with suppress(OSError):
            if os.stat(filename).st_size == 0:
                os.unlink(filename)  # who reads the folder takes an empty one for broken
        return False
    return True


def _reserve(filename: str, least: int) -> None:
    file = os.open(filename, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        os.posix_fallocate(file, 0, max(least, os.fstat(file).st_size))
    finally:
        os.close(file)


def _name(file: int) -> str:
    return f"/proc/self/fd/{file}"
