"""How long to wait for one answer of the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_patience: ContextVar[float | None] = ContextVar("patience", default=None)


def seconds() -> float | None:
    """The longest wait for the answer to one statement; None: for as long as it takes."""
    return _patience.get()


@contextmanager
def at_most(limit: float) -> Iterator[None]:
    """Wait no longer than that, unless less is set already."""
    usual = _patience.get()
    token = _patience.set(limit if usual is None else min(limit, usual))
    try:
        yield
    finally:
        _patience.reset(token)
