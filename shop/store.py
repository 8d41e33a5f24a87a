"""The SQLite file of one participant."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Store:
    """One connection behind a lock: SQLite has one writer anyway, and a lock wakes the next faster
    than its busy handler."""

    def __init__(self, path: Path, schema: str) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            # WAL + NORMAL survives kill -9; only a power cut may lose the newest transactions.
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(schema)
        except BaseException:
            self._db.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give the connection to a reader."""
        with self._lock:
            yield self._db

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection to a writer; all of its writes are kept, or none."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()


@contextmanager
def all_or_nothing(db: sqlite3.Connection) -> Iterator[None]:
    """Drop the writes made inside if it raises, and leave the transaction around it going on."""
    db.execute("SAVEPOINT inner")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK TO inner")
        raise
    finally:
        db.execute("RELEASE inner")
