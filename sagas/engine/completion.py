"""Tells those who wait that a saga has ended, across processes, without polling.

Over Redis it is publish/subscribe; in a single process, a condition variable. Either may
lose a message, so a waiter also looks at the database now and then.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Condition
from typing import Any, Protocol
from uuid import UUID

from redis.exceptions import RedisError

from sagas.engine.away import cache_away

logger = logging.getLogger(__name__)

_LOOK_EVERY = 2.0
"""Seconds after which a waiter looks for itself: the message may be lost, the process ending."""


class Completion(Protocol):
    """A channel on which the end of each saga is announced."""

    def announce(self, saga_id: UUID) -> None:
        """Say that the saga has ended."""
        ...

    def wait(self, saga_id: UUID, seconds: float, ended: Callable[[], bool]) -> bool:
        """Whether the saga ends within the time; `ended` asks the database."""
        ...


class LocalCompletion:
    """Within one process."""

    def __init__(self) -> None:
        self._changed = Condition()

    def announce(self, saga_id: UUID) -> None:
        """Wake every waiter of this process."""
        with self._changed:
            self._changed.notify_all()

    def wait(self, saga_id: UUID, seconds: float, ended: Callable[[], bool]) -> bool:
        """Ask `ended` after each announcement until it is true or the time is over."""
        until = time.monotonic() + seconds
        with self._changed:
            while not ended():
                left = until - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(min(left, _LOOK_EVERY))
        return True


class RedisCompletion:
    """Across processes, one channel a saga."""

    def __init__(self, client: Callable[[], Any]) -> None:
        self._client = client

    def announce(self, saga_id: UUID) -> None:
        """Publish; when Redis is away the waiters find out by themselves."""
        if cache_away:
            return
        try:
            self._client().publish(_channel(saga_id), "ended")
        except Exception as error:
            cache_away.note()
            logger.warning("the end of saga %s was not announced: %s", saga_id, error)

    def wait(self, saga_id: UUID, seconds: float, ended: Callable[[], bool]) -> bool:
        """Subscribe, then ask `ended` once and again after each message or silent while."""
        until = time.monotonic() + seconds
        try:
            # Subscribing comes first: an end between the look and it would never be heard.
            with self._client().pubsub(ignore_subscribe_messages=True) as messages:
                messages.subscribe(_channel(saga_id))
                while not ended():
                    left = until - time.monotonic()
                    if left <= 0:
                        return False
                    messages.get_message(timeout=min(left, _LOOK_EVERY))
                return True
        except (RedisError, OSError) as error:
            logger.warning("waiting without announcements: %s", error)
        return _look_until(until, ended)


def _look_until(until: float, ended: Callable[[], bool]) -> bool:
    while not ended():
        left = until - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(left, _LOOK_EVERY))
    return True


def _channel(saga_id: UUID) -> str:
    return f"saga-ended:{saga_id}"
