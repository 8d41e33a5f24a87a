"""A distributed lock in front of the lease: it spares the database lost races.

It is never the only guard: without its answer, or with a wrong one, the lease and the
epoch in the database still keep all but one worker from changing a saga.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

from django.core.cache import cache

from sagas.engine.away import cache_away

logger = logging.getLogger(__name__)


@contextmanager
def saga_lock(saga_id: UUID, seconds: float) -> Iterator[bool]:
    """Whether this process may try to claim the saga; held for at most `seconds`."""
    name, token = _name(saga_id), uuid4().hex
    if cache_away:
        yield True
        return
    try:
        mine = cache.add(name, token, timeout=seconds)
    except Exception:
        cache_away.note()
        logger.warning("no lock for saga %s: the cache is away", saga_id)
        yield True
        return
    try:
        yield bool(mine)
    finally:
        if mine:
            _release(name, token)


def break_lock(saga_id: UUID) -> None:
    """Take the lock of a worker that is gone away."""
    try:
        cache.delete(_name(saga_id))
    except Exception:
        logger.warning("a lock is left to expire: the cache is away")


def _name(saga_id: UUID) -> str:
    return f"saga-lock:{saga_id}"


def _release(name: str, token: str) -> None:
    if cache_away:
        return  # it is left to expire
    try:
        # Between the two a lock that just expired can be another's; the lease covers that.
        if cache.get(name) == token:
            cache.delete(name)
    except Exception:
        cache_away.note()
        logger.warning("a lock is left to expire: the cache is away")
