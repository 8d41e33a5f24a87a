"""Faults of the broker's messages, made in Redis itself.

Dramatiq keeps the ids of waiting messages in a list and their texts in a hash. Whoever waits for
the list with BLPOP gets each new id before any worker that asks now and then.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from threading import Event
from typing import Any
from uuid import uuid4

from redis.exceptions import RedisError

QUEUE = "dramatiq-saga:sagas"
MESSAGES = f"{QUEUE}.msgs"


def drop(client: Any, message_id: bytes) -> None:
    """Nobody will ever see the message."""
    client.hdel(MESSAGES, message_id)


def double(client: Any, message_id: bytes) -> None:
    """Put the message back, and a copy of it."""
    text = client.hget(MESSAGES, message_id)
    if text is not None:
        copy, fresh = json.loads(text), str(uuid4())
        copy["options"]["redis_message_id"] = fresh
        client.hset(MESSAGES, fresh, json.dumps(copy))
        client.rpush(QUEUE, fresh)
    client.rpush(QUEUE, message_id)


def steal(
    connect: Callable[[], Any],
    kind: str,
    seconds: float,
    stop: Event,
    count: Callable[[str, int], None],
) -> None:
    """Do so with every message of the next seconds; count each that it was done to."""
    until, number = time.monotonic() + seconds, 0
    kept: list[bytes] = []
    client = connect()
    while time.monotonic() < until and not stop.is_set():
        try:
            found = client.blpop([QUEUE], timeout=0.2)
            if found is None:
                continue
            if kind == "messages_dropped":
                drop(client, found[1])
            elif kind == "messages_doubled":
                double(client, found[1])
                time.sleep(0.02)  # else it would find its own again, and again
            else:
                kept.append(found[1])
            number += 1
        except RedisError:
            time.sleep(0.1)  # another fault's doing
    try:
        if kept:
            client.rpush(QUEUE, *kept)
    except RedisError:
        kept.clear()  # lost, then: that is allowed as well
    client.close()
    count(kind, number)
