"""The Dramatiq actor that drives sagas, and what a worker process runs beside it.

A message carries a saga's id and nothing else, and is only a hint: it may be lost, doubled,
late or out of order. What to do, and whether to do anything, is read from the database.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from threading import Event
from uuid import UUID

import dramatiq
from django.conf import settings
from django.db import close_old_connections, connections

from sagas import runtime, services
from sagas.broker import QUEUE, broker, send_all
from sagas.engine.presence import Presence
from sagas.engine.sweeper import Sweeper
from sagas.tally import Tallying

logger = logging.getLogger(__name__)

stopping = Event()


@dramatiq.actor(queue_name=QUEUE)
def drive_saga(saga_id: str) -> None:
    """Run the due action or compensation of a saga, and those that follow it."""
    services.drive(UUID(saga_id), stopping.is_set)


@dramatiq.actor(queue_name=QUEUE)
def run_bulk(bulk_id: str) -> None:
    """Preview or perform what is left of a bulk operation."""
    services.run_bulk(UUID(bulk_id), stopping.is_set)


def look_after(presence: Presence) -> None:
    """What a worker does with each sweep beside sagas that are due."""
    services.take_from_the_gone(presence)
    for bulk_id in services.due_bulks():
        try:
            run_bulk.send(str(bulk_id))
        except Exception as error:
            logger.warning("broker away, bulk operations wait for it: %s", error)
            return


def wake(saga_id: UUID) -> None:
    """Tell a worker that the saga is due. Raises if the broker is away."""
    drive_saga.send(str(saga_id))


def wake_all(due: Mapping[UUID, datetime]) -> None:
    """Tell workers of sagas that no message may have told of, and since when they are due.

    Raises if the broker is away.
    """
    send_all([_message(saga_id, since) for saga_id, since in due.items()])


def _message(saga_id: UUID, since: datetime) -> dramatiq.Message[None]:
    made = int(since.timestamp() * 1000)
    return drive_saga.message(str(saga_id)).copy(message_timestamp=made)


class Connections(dramatiq.Middleware):
    """Drops a thread's database connection when it is broken, and when the thread ends."""

    def before_process_message(self, broker: dramatiq.Broker, message: object) -> None:
        close_old_connections()

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: object,
        *,
        result: object = None,
        exception: BaseException | None = None,
    ) -> None:
        close_old_connections()
        if exception is not None:
            logger.error("a message failed; the sweeper looks after its saga", exc_info=exception)

    after_skip_message = after_process_message

    def before_worker_thread_shutdown(self, broker: dramatiq.Broker, thread: object) -> None:
        connections.close_all()


class Sweeping(dramatiq.Middleware):
    """Runs a sweeper in every worker process, and stops it with the worker."""

    def __init__(self) -> None:
        self._sweeper: Sweeper | None = None
        self._presence: Presence | None = None

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        # Before the first saga is taken: the others would miss who has it.
        self._presence = Presence(runtime.engine().owner, sure_after=settings.SAGA_LEASE)
        self._presence.gone([])

    def after_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        stopping.clear()
        assert self._presence is not None
        self._sweeper = Sweeper(
            wake=wake_all,
            drive=lambda saga_id: services.drive(saga_id, stopping.is_set),
            before=partial(look_after, self._presence),
            after=Tallying().go_on,
            interval=settings.SAGA_SWEEP_INTERVAL,
        )
        self._sweeper.start()

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        # Calls in flight are finished, and their sagas handed back to the other workers; who
        # set this earlier has waited for that already.
        seconds = 1.0 if stopping.is_set() else settings.SAGA_LEASE
        stopping.set()
        if self._sweeper is not None:
            self._sweeper.stop(seconds)

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        # Not before: what was in flight until now was this worker's own.
        if self._presence is not None:
            self._presence.close()


def connect() -> None:
    """Have every transition that makes a saga due wake a worker."""
    runtime.wake_with(wake)


broker.add_middleware(Connections())
broker.add_middleware(Sweeping())
