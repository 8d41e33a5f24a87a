"""Tells those who wait that a saga has ended, across processes, without polling.

Over Redis it is publish/subscribe; in a single process, a condition variable. Either may
lose a message, so a waiter also looks at the database now and then.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
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
        self._ears: deque[Any] = deque()
        """Subscribers that listen to nothing now; their connections are kept."""

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
        """Subscribe, then ask `ended` once and again after the message or a silent while."""
        until = time.monotonic() + seconds
        try:
            # Subscribing comes first: an end between the look and it would never be heard.
            with self._listening(_channel(saga_id)) as hear:
                return _look_until(until, ended, hear)
        except (RedisError, OSError) as error:
            logger.warning("waiting without announcements: %s", error)
        return _look_until(until, ended, time.sleep)

    @contextmanager
    def _listening(self, channel: str) -> Iterator[Callable[[float], None]]:
        """What waits for a message of the channel. Raises RedisError or OSError."""
        ear = self._ear(channel)
        try:
            yield partial(_hear, ear)
            ear.unsubscribe(channel)
        except BaseException:
            ear.close()
            raise
        self._ears.append(ear)

    def _ear(self, channel: str) -> Any:
        """A subscriber of the channel."""
        while True:
            try:
                ear = self._ears.pop()
            except IndexError:
                break
            if _is_usable(ear):
                ear.subscribe(channel)
                return ear
            ear.close()
        ear = self._client().pubsub()
        ear.subscribe(channel)
        return ear


def _is_usable(ear: Any) -> bool:
    """Whether it has heard all of the last time, and Redis is still there."""
    try:
        while ear.subscribed:
            if ear.get_message(timeout=1) is None:
                return False
        return not ear.connection.can_read(0)
    except (RedisError, OSError):
        return False


def _hear(ear: Any, seconds: float) -> None:
    """Wait for the message."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        heard = ear.get_message(timeout=left)
        if heard and heard["type"] == "message":
            return


def _look_until(until: float, ended: Callable[[], bool], pause: Callable[[float], None]) -> bool:
    while not ended():
        left = until - time.monotonic()
        if left <= 0:
            return False
        pause(min(left, _LOOK_EVERY))
    return True


def _channel(saga_id: UUID) -> str:
    return f"saga-ended:{saga_id}"
