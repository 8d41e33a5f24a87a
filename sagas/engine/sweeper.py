"""Finds the sagas that are due and wakes them: lost messages, ended waits, dead workers."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from threading import Event, Thread
from uuid import UUID

from django.db import close_old_connections, connections

from sagas.selectors import due_sagas

logger = logging.getLogger(__name__)


class Sweeper:
    """A thread that asks the database every `interval` seconds for due sagas.

    They are sent as messages; when the broker is away they are driven here instead, so that
    sagas go on without it. The broker knows which of them wait already: what several sweepers
    find, and what still waits since it was created, is not doubled by that. `before` and `after`
    are done before and after each sweep.
    """

    def __init__(
        self,
        *,
        wake: Callable[[Mapping[UUID, datetime]], None],
        drive: Callable[[UUID], None],
        before: Callable[[], None] = lambda: None,
        after: Callable[[], None] = lambda: None,
        interval: float,
        batch: int = 200,
        fallback_threads: int = 4,
    ) -> None:
        self._wake = wake
        self._drive = drive
        self._before = before
        self._after = after
        self._interval = interval
        self._batch = batch
        self._pool = ThreadPoolExecutor(fallback_threads, thread_name_prefix="saga-fallback")
        self._driving: set[UUID] = set()
        self._stop = Event()
        self._thread = Thread(target=self._run, name="saga-sweeper", daemon=True)

    def start(self) -> None:
        """Begin to sweep, at once."""
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Stop sweeping; a saga that is driven here finishes its call first, within the time."""
        until = time.monotonic() + timeout
        self._stop.set()
        self._thread.join(timeout)
        self._pool.shutdown(wait=False)
        while self._driving and time.monotonic() < until:
            time.sleep(0.02)

    def stop_pool(self) -> None:
        """Wait until nothing is driven here any more."""
        self._pool.shutdown(wait=True)

    def sweep(self) -> int:
        """Wake what is due now; the number of sagas found."""
        found = due_sagas(self._batch)
        if not found:
            return 0
        try:
            self._wake(found)
        except Exception as error:
            logger.warning("broker away, driving due sagas without it: %s", error)
            return self._drive_here(found)
        return len(found)

    def _drive_here(self, due: Iterable[UUID]) -> int:
        found = [saga_id for saga_id in due if saga_id not in self._driving]
        for saga_id in found:
            self._driving.add(saga_id)
            self._pool.submit(self._drive_one, saga_id)
        return len(found)

    def _drive_one(self, saga_id: UUID) -> None:
        try:
            close_old_connections()
            if not self._stop.is_set():
                self._drive(saga_id)
        except Exception:
            logger.exception("driving saga %s failed", saga_id)
        finally:
            self._driving.discard(saga_id)
            connections.close_all()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                close_old_connections()
                self._before()
                self.sweep()
                self._after()
            except Exception as error:
                logger.warning("sweep failed: %s", error)
                connections.close_all()
            # Spread, so that the workers of a fleet do not all ask at the same moment.
            self._stop.wait(self._interval * random.uniform(0.8, 1.2))
        connections.close_all()
