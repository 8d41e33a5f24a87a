"""The Dramatiq broker: Redis where there is one, else in this process."""

from __future__ import annotations

import dramatiq
from django.conf import settings
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

QUEUE = "sagas"


def _set_up() -> dramatiq.Broker:
    """Make the broker of this process, before any actor is declared.

    Retries are the engine's, recorded in the database; so no middleware that repeats, delays
    or expires messages is used.
    """
    if settings.REDIS_URL:
        broker: dramatiq.Broker = RedisBroker(  # type: ignore[no-untyped-call]
            # Not by `url`: Dramatiq would then leave the time-outs aside.
            client=Redis.from_url(
                settings.REDIS_URL,
                socket_connect_timeout=0.5,
                socket_timeout=1,
                # The sweeper finds what could not be sent; a client must not wait for that.
                retry=Retry(NoBackoff(), 0),
            ),
            middleware=[],
            namespace="dramatiq-saga",
            # A worker that dies holds messages; the sweeper does not wait for them.
            heartbeat_timeout=10_000,
        )
    else:
        broker = StubBroker(middleware=[])
    dramatiq.set_broker(broker)
    return broker


broker = _set_up()


def backlog() -> int:
    """Messages that wait for a worker. Raises if the broker is away."""
    if isinstance(broker, StubBroker):
        return int(broker.queues[QUEUE].qsize())
    assert isinstance(broker, RedisBroker)
    waiting: int = broker.do_qsize(QUEUE)
    return waiting
