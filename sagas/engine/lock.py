"""A distributed lock in front of the lease: it spares the database lost races.

It is never the only guard: without its answer, or with a wrong one, the lease and the
epoch in the database still keep all but one worker from changing a saga.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

from django.conf import settings
from django.core.cache import cache
from django_redis import get_redis_connection

from sagas.engine.away import cache_away
from sagas.engine.script import Script

logger = logging.getLogger(__name__)

_RELEASE = Script("""
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
""")


@contextmanager
def saga_lock(saga_id: UUID, seconds: float) -> Iterator[bool]:
    """Whether this process may try to claim the saga; held for at most `seconds`."""
    if cache_away:
        yield True
        return
    # With its quotes it is what Django's cache would write, as workers of before do.
    name, token = _name(saga_id), f'"{uuid4().hex}"'
    try:
        mine = _take(name, token, seconds)
    except Exception:
        cache_away.note()
        logger.warning("no lock for saga %s: the cache is away", saga_id)
        yield True
        return
    try:
        yield mine
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


def _take(name: str, token: str, seconds: float) -> bool:
    if not settings.SAGA_SHARED_STATE:
        return bool(cache.add(name, token, timeout=seconds))
    ms = max(int(seconds * 1000), 1)
    return bool(get_redis_connection("default").set(cache.make_key(name), token, nx=True, px=ms))


def _release(name: str, token: str) -> None:
    """Take it away if it is still this one's: one that expired may be another's now."""
    if cache_away:
        return  # it is left to expire
    try:
        if settings.SAGA_SHARED_STATE:
            _RELEASE.run(get_redis_connection("default"), [cache.make_key(name)], (token,))
        elif cache.get(name) == token:
            cache.delete(name)
    except Exception:
        cache_away.note()
        logger.warning("a lock is left to expire: the cache is away")
