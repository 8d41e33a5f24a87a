"""The Dramatiq broker: Redis where there is one, else in this process."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Sequence
from threading import Semaphore
from typing import Any

import dramatiq
from django.conf import settings
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from dramatiq.errors import ConnectionClosed
from redis import Redis
from redis import exceptions as rx
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = logging.getLogger(__name__)

QUEUE = "sagas"

_TIMEOUT = 1.0
"""Seconds after which Redis counts as away."""

_LONG = 10.0
"""Seconds that messages may wait before new ones get every other turn."""

_ROOM = 200
"""Messages of a queue within this process; more that the sweeper finds would be doubles."""


class HintBroker(RedisBroker):
    """Dramatiq's Redis broker for messages that may be lost: a command to send, one to receive.

    Dramatiq's own keeps each message until it is acknowledged, with a script of several commands
    for each step, and asks for new ones again and again. The sweeper makes up for a lost one
    sooner than that would. Here a queue is a sorted set, on which workers wait: by the time at
    which each was made, or from which on its saga is due. Who sends what waits already changes
    nothing, so that sweepers need not know what others have sent.
    """

    client: Any

    def declare_queue(self, queue_name: str) -> None:
        """Declare it; without the queue of delayed messages, which nobody sends."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        """A consumer that has at most `prefetch` messages, and waits `timeout` ms for one."""
        return _Consumer(self, queue_name, prefetch, timeout / 1000)

    def enqueue(
        self, message: dramatiq.Message[Any], *, delay: int | None = None
    ) -> dramatiq.Message[Any]:
        """Send it. Raises if Redis is away, or full."""
        assert delay is None, "a saga that waits is the sweeper's"
        self.emit_before("enqueue", message, delay)
        self.send_all([message])
        self.emit_after("enqueue", message, delay)
        return message

    def send_all(self, messages: Sequence[dramatiq.Message[Any]]) -> None:
        """Send at least one with one command. Raises as `enqueue` does."""
        members = {_encoded(message): message.message_timestamp for message in messages}
        self.client.zadd(self.key(messages[0].queue_name), members, nx=True)

    def do_qsize(self, queue_name: str) -> int:
        """How many messages wait. Raises if Redis is away, or takes no more messages."""
        # That it is full Redis says only to who writes.
        asked = self.client.pipeline(transaction=False)
        asked.set(f"{self.namespace}:room", "", ex=60)
        return int(asked.zcard(self.key(queue_name)).execute()[1])

    def do_purge(self, queue_name: str) -> None:
        """Forget the messages that wait."""
        self.client.delete(self.key(queue_name))

    def key(self, queue_name: str) -> str:
        """Where the messages are; not where Dramatiq's own broker has the ids of its messages."""
        return f"{self.namespace}:{queue_name}.due"


def _encoded(message: dramatiq.Message[Any]) -> bytes:
    """What is the same for each message that says the same."""
    return json.dumps([message.actor_name, *message.args]).encode()


def _decoded(queue_name: str, text: bytes, since: float) -> dramatiq.Message[Any]:
    """Raises ValueError, or TypeError."""
    name, *args = json.loads(text)
    made = int(since)
    return dramatiq.Message(queue_name, str(name), tuple(args), {}, {}, message_timestamp=made)


class _Consumer(Consumer):
    """Takes a message when there is room for it, and forgets it in Redis.

    The oldest goes first. Where that waited long, every other one that is taken is the newest: a
    saga that is created while a backlog is worked off need not wait for all of it.
    """

    def __init__(self, broker: HintBroker, queue_name: str, prefetch: int, timeout: float) -> None:
        self._broker = broker
        self._client = broker.client
        self._queue_name = queue_name
        self._key = broker.key(queue_name)
        self._room = Semaphore(prefetch)
        self._taken: set[int] = set()
        self._timeout = min(timeout, _TIMEOUT / 2)
        self._newest = False

    def __next__(self) -> MessageProxy | None:
        if not self._room.acquire(timeout=self._timeout):
            return None
        message = None
        try:
            message = self._take()
        except (rx.ConnectionError, rx.TimeoutError) as error:
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]
        except (TypeError, ValueError):
            logger.warning("a message that cannot be read was dropped")
        if message is None:
            self._room.release()
            return None
        taken = MessageProxy(message)
        self._taken.add(id(taken))
        return taken

    def _take(self) -> dramatiq.Message[Any] | None:
        take = self._client.bzpopmax if self._newest else self._client.bzpopmin
        found = take([self._key], timeout=self._timeout)
        if not found:
            self._newest = False
            return None
        _, text, since = found
        self._newest = not self._newest and time.time() - since / 1000 > _LONG
        return _decoded(self._queue_name, text, since)

    def ack(self, message: MessageProxy) -> None:
        """There is room for another; Redis knows of this one no more."""
        if id(message) in self._taken:  # else a consumer took it whose connection broke
            self._taken.discard(id(message))
            self._room.release()

    nack = ack

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Give back, when the worker ends, what it did not begin."""
        try:
            if given := [message._message for message in messages]:
                self._broker.send_all(given)
        except (rx.ConnectionError, rx.TimeoutError) as error:
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]


def _set_up() -> dramatiq.Broker:
    """Make the broker of this process, before any actor is declared.

    Retries are the engine's, recorded in the database; so no middleware that repeats, delays
    or expires messages is used.
    """
    if settings.REDIS_URL:
        broker: dramatiq.Broker = HintBroker(  # type: ignore[no-untyped-call]
            # Not by `url`: Dramatiq would then leave the time-outs aside.
            client=Redis.from_url(
                settings.REDIS_URL,
                socket_connect_timeout=0.5,
                socket_timeout=_TIMEOUT,
                # The sweeper finds what could not be sent; a client must not wait for that.
                retry=Retry(NoBackoff(), 0),
            ),
            middleware=[],
            namespace="dramatiq-saga",
        )
    else:
        broker = StubBroker(middleware=[])
    dramatiq.set_broker(broker)
    return broker


broker = _set_up()


def backlog() -> int:
    """Messages that wait for a worker. Raises if the broker is away."""
    if isinstance(broker, HintBroker):
        return broker.do_qsize(QUEUE)
    assert isinstance(broker, StubBroker)
    return int(broker.queues[QUEUE].qsize())


def send_all(messages: Sequence[dramatiq.Message[Any]]) -> None:
    """Send what the sweeper found, but for what waits already. Raises if the broker is away."""
    if isinstance(broker, HintBroker):
        broker.send_all(messages)
        return
    for message in messages[: max(0, _ROOM - backlog())]:
        broker.enqueue(message)
