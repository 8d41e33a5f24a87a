"""The backend: statements of an impatient thread are given up, and with them the connection.

A server whose host lives, but which itself hangs (stopped, or waiting for its disk), keeps its
connections open and answers nothing: neither keep-alives nor its own `statement_timeout` see it.
"""

from __future__ import annotations

import select
import time
from contextlib import suppress
from typing import Any

from django.db.backends.postgresql import base
from psycopg import Connection, IsolationLevel, OperationalError, errors

from sagaproject.postgresql import patience

_FRESH = 1.0
"""Seconds for which a connection that showed that it works is believed to."""

_GREETING = 2.0
"""Seconds for a connection to show that it still works."""

_PLANS = "plan_cache_mode"
_GENERIC = f"SET {_PLANS} = force_generic_plan"
"""Each prepared statement is planned once, whatever its values."""


class BoundedConnection(Connection[Any]):
    """A connection that ends when an answer takes longer than the thread's patience."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """The statement's result. Raises OperationalError if none came in time."""
        limit = patience.seconds()
        if limit is None or timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, limit)
        except errors._WaitTimeout as error:
            # Else it may go on for long, for nobody, and hold one of the server's connections.
            with suppress(Exception):
                self.cancel_safe(timeout=_GREETING)
            # Nobody knows what became of the statement: the connection is not to be used again.
            self.pgconn.finish()
            raise OperationalError(f"no answer within {limit:g} s") from error


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's own, with bounded connections."""

    _answered_at = 0.0

    def get_new_connection(self, conn_params: dict[str, Any]) -> Connection[Any]:
        self._answered_at = time.monotonic()
        self.isolation_level = IsolationLevel.READ_COMMITTED
        made = BoundedConnection.connect(**conn_params)
        if _PLANS not in str(conn_params.get("options")):
            # Not among what a connection starts with: PgBouncer refuses what it does not know.
            made.autocommit = True
            made.execute(_GENERIC)
        return made

    def is_usable(self) -> bool:
        """Whether the server answers on this connection, within seconds where somebody waits.

        It is not asked again within a second of its last answer, unless it has said something
        since, such as that it ends, or an error occurred: that would cost each request a query.
        """
        if not self.errors_occurred and self._answered_just_now():
            return True
        usable = self._answers()
        if usable:
            self._answered_at = time.monotonic()
        return usable

    def _answered_just_now(self) -> bool:
        if time.monotonic() - self._answered_at > _FRESH or self.connection.closed:
            return False
        unasked = select.poll()
        unasked.register(self.connection.pgconn.socket, select.POLLIN)
        return not unasked.poll(0)

    def _answers(self) -> bool:
        if patience.seconds() is None:
            return super().is_usable()
        with patience.at_most(_GREETING):
            return super().is_usable()
