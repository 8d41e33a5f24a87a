"""A pool of connections that says at once when the database cannot be reached.

psycopg's own lets everybody wait for the whole time-out while it tries ever more rarely.
It has no hooks for that, so some of what is overridden here is not documented; the tests of
tests/config/test_pool.py tell when a new version changes it.
"""

from __future__ import annotations

import time
from typing import Any

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.errors import _WaitTimeout
from psycopg_pool import ConnectionPool
from psycopg_pool.base import AttemptWithBackoff

_CHECK = 2.0
"""Seconds in which a connection must answer when it is taken out of the pool."""

_FULL = ("too many", "connection slots")
"""How PostgreSQL says that others have all its connections."""

_patience: float | None = None


def answer_within(seconds: float | None) -> None:
    """Give a statement up, with its connection, when no answer came in this time.

    A server that hangs keeps its connections open and acknowledges what is sent, so neither
    its own statement_timeout nor TCP's time-outs help.
    """
    global _patience
    _patience = seconds


class Connection(psycopg.Connection[Any]):
    """A connection that does not wait for ever."""

    _limit: float | None = None

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Run the driver's generator. Raises OperationalError when the server is silent."""
        limit = self._limit or _patience
        if timeout is not None or limit is None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, limit)
        except _WaitTimeout:
            # What the server still makes of it is unknown, so nothing else may be sent.
            self.pgconn.finish()
            raise psycopg.OperationalError(f"no answer within {limit:g} s") from None


class Pool(ConnectionPool[Connection]):
    """Fails those who wait when connecting fails; the next request tries anew."""

    def __init__(self, **options: Any) -> None:
        super().__init__(connection_class=Connection, **options)
        self._why: Exception = psycopg.OperationalError("the database cannot be reached")

    @staticmethod
    def check_connection(conn: Connection) -> None:
        """Raises OperationalError unless the connection works."""
        conn._limit = _CHECK
        try:
            ConnectionPool.check_connection(conn)
        finally:
            conn._limit = None

    def _check_connection(self, conn: Connection) -> None:
        try:
            super()._check_connection(conn)
        except Exception:
            # The others most likely ended with it; one by one, each would cost a growing wait.
            with self._lock:
                idle = list(self._pool)
                self._pool.clear()
                self._nconns -= len(idle)
            for other in idle:
                self._close_connection(other)
            raise

    def _connect(self, timeout: float | None = None) -> Connection:
        try:
            return super()._connect(timeout)
        except Exception as error:
            self._why = error
            raise

    def _add_connection(self, attempt: AttemptWithBackoff | None, growing: bool = False) -> None:
        spent = AttemptWithBackoff(timeout=0)
        spent.give_up_at = time.monotonic()  # no tries in the background: those who ask try
        super()._add_connection(spent, growing)

    def reconnect_failed(self) -> None:
        """Connecting failed: tell those who wait, unless a connection may come back to them."""
        why = psycopg.OperationalError(str(self._why))
        with self._lock:
            lent = self._nconns - len(self._pool)
            if lent > 0 and any(words in str(why) for words in _FULL):
                return
            waiting = list(self._waiting)
            self._waiting.clear()
        for client in waiting:
            client.fail(why)
