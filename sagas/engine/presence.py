"""Which workers are alive, as PostgreSQL knows: so that a dead one's lease need not run out.

Each worker process holds an advisory lock under its name. PostgreSQL lets it go as soon as the
connection ends, and that ends with the process, however it dies. A worker that is taken for dead
though it lives is fenced off by the epoch, as if its lease had ended. That costs an attempt: so
only who was missed twice is gone, and a saga that was lost before waits for the lease's end.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from django.db import connection

logger = logging.getLogger(__name__)

_CLASS = int.from_bytes(b"saga")
"""The first half of the locks' keys: it keeps them apart from other users' of the database."""

_LOCKS = """
locktype = 'advisory' AND classid = %s AND granted
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_HELD = f"SELECT objid FROM pg_locks WHERE {_LOCKS}"
_LIVING = f"""
SELECT objid, application_name, backend_start
FROM pg_locks LEFT JOIN pg_stat_activity USING (pid) WHERE {_LOCKS} ORDER BY application_name
"""

_LONGEST_NAME = 63
"""Bytes, of ASCII, that PostgreSQL keeps of the name of a connection."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Worker:
    """A worker process that is alive."""

    name: str
    """Its end where it is very long; empty if PostgreSQL hides it from this role."""

    since: datetime | None
    """When it connected."""

    key: int

    def is_called(self, owner: str) -> bool:
        """Whether that is this worker's name."""
        return self.key == _key(owner)


def living() -> list[Worker] | None:
    """The workers that are alive, by name; None on a database that does not know."""
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute(_LIVING, [_CLASS])
        rows = cursor.fetchall()
    return [Worker(key=key, name=name or "", since=since) for key, name, since in rows]


class Presence:
    """This worker's lock, on a connection of its own, and those of the others."""

    def __init__(self, owner: str, *, sure_after: float) -> None:
        self._owner = owner
        self._key = _key(owner)
        self._sure_after = sure_after
        self._connection: Any = None
        self._since = 0.0
        self._missed: set[str] = set()

    def gone(self, owners: Iterable[str]) -> set[str]:
        """Those of the workers that were missed by this look and by the one before.

        None while that is not sure: after a restart of the database nobody holds a lock, so for
        `sure_after` seconds from when this worker has its own again the others get the time to
        take theirs.
        """
        if connection.vendor != "postgresql":
            return set()
        try:
            held = self._held()
        except (OSError, psycopg.Error) as error:
            logger.warning("which workers are alive is not known: %s", error)
            self.close()
            self._missed = set()
            return set()
        before = self._missed
        self._missed = {owner for owner in owners if _key(owner) not in held}
        if time.monotonic() - self._since < self._sure_after:
            return set()
        return self._missed & before

    def close(self) -> None:
        """Let the lock go: from now on this worker is gone."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _held(self) -> set[int]:
        """The keys of all locks, after taking one's own where that is not held."""
        if self._connection is None:
            parameters = connection.get_connection_params()
            # For those who look. The end, as that is what tells two processes of a host apart.
            name = self._owner.encode("ascii", "replace")[-_LONGEST_NAME:]
            parameters["application_name"] = name.decode()
            self._connection = connection.get_new_connection(parameters)
            self._connection.autocommit = True
        held = {key for (key,) in self._connection.execute(_HELD, [_CLASS]).fetchall()}
        if self._key not in held:
            take = "SELECT pg_try_advisory_lock(%s, %s)"
            self._connection.execute(take, [_CLASS, _signed(self._key)])
            self._since = time.monotonic()
            held.add(self._key)
        return held


def _key(owner: str) -> int:
    """Two workers may by chance have the same: then the dead one is taken for alive."""
    return int.from_bytes(hashlib.blake2b(owner.encode(), digest_size=4).digest())


def _signed(key: int) -> int:
    """As the parameter, an int4, wants what `pg_locks` shows unsigned."""
    return key - 2**32 if key >= 2**31 else key
