"""Faults of the broker's messages, made in Redis itself.

Messages wait in a sorted set, and the workers wait for it with BZPOPMIN: whoever does so too gets
its share.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

from redis.exceptions import RedisError

QUEUE = "dramatiq-saga:sagas.due"

_THIEVES = 6
"""More than there are workers, as Redis serves in turn who waits."""


def steal(
    connect: Callable[[], Any],
    kind: str,
    seconds: float,
    stop: Event,
    count: Callable[[str, int], None],
) -> None:
    """Do so with most messages of the next seconds; count each that it was done to."""
    until = time.monotonic() + seconds
    # Several would double each other's doubles.
    thieves = 1 if kind == "messages_doubled" else _THIEVES
    with ThreadPoolExecutor(thieves) as pool:
        rounds = [pool.submit(_steal, connect(), kind, until, stop) for _ in range(thieves)]
        count(kind, sum(each.result() for each in rounds))


def _steal(client: Any, kind: str, until: float, stop: Event) -> int:
    number, kept = 0, []
    while time.monotonic() < until and not stop.is_set():
        try:
            found = client.bzpopmin([QUEUE], timeout=0.2)
            if found is None:
                continue
            if kind == "messages_doubled":
                # Twice at once would be once; and else it would find its own again, and again.
                for _ in range(2):
                    client.zadd(QUEUE, {found[1]: found[2]})
                    time.sleep(0.02)
            elif kind == "messages_delayed":
                kept.append(found[1:])
            number += 1
        except RedisError:
            time.sleep(0.1)  # another fault's doing
    try:
        if kept:
            client.zadd(QUEUE, dict(kept))
    except RedisError:
        kept.clear()  # lost, then: that is allowed as well
    client.close()
    return number
