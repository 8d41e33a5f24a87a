"""How often something happened within a stretch of time, counted in the cache all processes share.

What is counted can be done without: while the cache is away, nothing is, and nobody is held up.
"""

from __future__ import annotations

import math
from contextlib import suppress
from time import time

from django.conf import settings
from django.core.cache import cache
from django_redis import get_redis_connection

from sagas.engine.away import cache_away


def count(what: str, window: int) -> int:
    """How often, this time included, in the present window of so many seconds; 0: unknown."""
    if cache_away:
        return 0
    key = _key(what, window)
    try:
        return _in_redis(key, window) if settings.SAGA_SHARED_STATE else _in_process(key, window)
    except Exception:
        cache_away.note()
        return 0


def _in_redis(key: str, window: int) -> int:
    # By itself: Django's `incr` runs a script, which takes three times as long.
    redis, name = get_redis_connection("default"), cache.make_key(key)
    so_far = int(redis.incr(name))
    if so_far == 1:
        redis.expire(name, 2 * window)
    return so_far


def _in_process(key: str, window: int) -> int:
    try:
        return int(cache.incr(key))
    except ValueError:  # the first of its window
        return 1 if cache.add(key, 1, timeout=2 * window) else int(cache.incr(key))


def left(window: int) -> int:
    """Seconds until counting begins anew."""
    return math.ceil(window - time() % window)


def forget(what: str, window: int) -> None:
    """Count from nothing again."""
    if cache_away:
        return
    with suppress(Exception):
        cache.delete(_key(what, window))


def take_back(what: str, window: int) -> None:
    """Count one less."""
    if cache_away:
        return
    with suppress(Exception):
        cache.decr(_key(what, window))


def _key(what: str, window: int) -> str:
    return f"limit:{what}:{int(time() // window)}"
