"""Tells those who wait that a saga has ended, across processes, without polling.

Over Redis it is publish/subscribe; in a single process, a condition variable. Either may
lose a message, so a waiter also looks at the database now and then.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Condition
from typing import Any, Protocol
from uuid import UUID

from redis.exceptions import RedisError

from sagas.engine.away import cache_away

logger = logging.getLogger(__name__)

_AWAY = (RedisError, OSError)

Hear = Callable[[float], None]
"""Waits so many seconds for the announcement; may end sooner without one."""


class Completion(Protocol):
    """A channel on which the end of each saga is announced."""

    def announce(self, saga_id: UUID) -> None:
        """Say that the saga has ended."""
        ...

    def listening(self, saga_id: UUID) -> AbstractContextManager[Hear]:
        """What hears of the saga's end from now on, even before it is asked."""
        ...


class LocalCompletion:
    """Within one process."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._said = 0

    def announce(self, saga_id: UUID) -> None:
        """Wake every waiter of this process."""
        with self._changed:
            self._said += 1
            self._changed.notify_all()

    @contextmanager
    def listening(self, saga_id: UUID) -> Iterator[Hear]:
        """What hears of any saga's end."""
        heard = self._said

        def hear(seconds: float) -> None:
            nonlocal heard
            with self._changed:
                self._changed.wait_for(lambda: self._said != heard, seconds)
                heard = self._said

        yield hear


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

    @contextmanager
    def listening(self, saga_id: UUID) -> Iterator[Hear]:
        """What hears of the saga's end; without Redis it only waits."""
        channel = _channel(saga_id)
        ear = self._try_ear(channel)

        def hear(seconds: float) -> None:
            nonlocal ear
            if ear is None:
                time.sleep(seconds)
                return
            try:
                _hear(ear, seconds)
            except _AWAY as error:
                ear.close()
                ear = None
                logger.warning("waiting without announcements: %s", error)

        try:
            yield hear
        except BaseException:
            if ear is not None:
                ear.close()
            raise
        if ear is not None:
            self._lay_by(ear, channel)

    def _try_ear(self, channel: str) -> Any:
        """A subscriber of the channel; None where there is none to be had."""
        if cache_away:
            return None
        try:
            return self._ear(channel)
        except Exception as error:
            # Whatever it is: a saga that is yet to be created must not fail for it.
            cache_away.note()
            logger.warning("waiting without announcements: %s", error)
            return None

    def _lay_by(self, ear: Any, channel: str) -> None:
        """Keep a subscriber for the next one who waits."""
        try:
            ear.unsubscribe(channel)
        except _AWAY:
            ear.close()
        else:
            self._ears.append(ear)

    def _ear(self, channel: str) -> Any:
        """A subscriber of the channel. Raises what Redis does, or TimeoutError."""
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
    """Whether it has heard all of the last time, and Redis is still there.

    Raises TimeoutError when Redis says nothing: each other ear would wait for it as long.
    """
    try:
        while ear.subscribed:
            if ear.get_message(timeout=1) is None:
                break
        else:
            return not ear.connection.can_read(0)
    except _AWAY:
        return False
    ear.close()
    raise TimeoutError("Redis does not answer")


def _hear(ear: Any, seconds: float) -> None:
    """Wait for the message."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        heard = ear.get_message(timeout=left)
        if heard and heard["type"] == "message":
            return


def _channel(saga_id: UUID) -> str:
    return f"saga-ended:{saga_id}"
