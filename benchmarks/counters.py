"""What PostgreSQL and Redis count by themselves, read before and after."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import psycopg

_DATABASE = """
SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
       (SELECT xact_commit FROM pg_stat_database WHERE datname = %s),
       (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint
"""
_CHECK = 'SELECT 1 FROM ONLY "'
_STATEMENTS = """
SELECT query, sum(calls)::bigint, sum(total_exec_time)::float
FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = %s)
GROUP BY query ORDER BY 2 DESC
"""


@dataclass(frozen=True, slots=True)
class Database:
    """Of one server: durable commits, all transactions of the database, and bytes of WAL."""

    ids: int
    """Transactions that took an id, and so wrote."""

    transactions: int
    wal: int

    def since(self, before: Database) -> Database:
        """What was added."""
        return Database(
            self.ids - before.ids,
            self.transactions - before.transactions,
            self.wal - before.wal,
        )


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement without its values, how often it ran, and how long in all."""

    text: str
    calls: int
    milliseconds: float

    @property
    def is_check(self) -> bool:
        """Whether no client sent it: PostgreSQL checks a foreign key so, for each row."""
        return self.text.startswith(_CHECK)


class PostgresCounters:
    """Asks the server from a database of its own, so that its questions are not counted."""

    def __init__(self, url: str, database: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True, prepare_threshold=None)
        self._database = database
        libraries = self._one("SHOW shared_preload_libraries")[0]
        self.has_statements = "pg_stat_statements" in libraries
        if self.has_statements:
            self._connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")

    def read(self) -> Database:
        """As things stand."""
        return Database(*self._one(_DATABASE, [self._database]))

    def forget_statements(self) -> None:
        """Count statements anew."""
        if self.has_statements:
            self._connection.execute("SELECT pg_stat_statements_reset()")

    def statements(self) -> list[Statement]:
        """Those since they were forgotten, the most frequent first."""
        if not self.has_statements:
            return []
        found = self._connection.execute(_STATEMENTS, [self._database]).fetchall()
        return [Statement(" ".join(text.split()), calls, took) for text, calls, took in found]

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _one(self, statement: str, values: list[Any] | None = None) -> tuple[Any, ...]:
        row = self._connection.execute(statement.encode(), values).fetchone()
        assert row is not None
        return row


def redis_calls(url: str) -> dict[str, int]:
    """How often each command ran so far, also within scripts; but for this question's own."""
    address = urlsplit(url)
    with socket.create_connection(("127.0.0.1", address.port or 6379), timeout=5) as connection:
        connection.sendall(f"AUTH {address.password}\r\nINFO commandstats\r\nQUIT\r\n".encode())
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return parse_commandstats(answer.decode())


def parse_commandstats(text: str) -> dict[str, int]:
    """`cmdstat_NAME:calls=N,...` lines as numbers by name."""
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if name.startswith("cmdstat_") and rest.startswith("calls="):
            found[name.removeprefix("cmdstat_")] = int(rest[6:].split(",")[0])
    return {name: n for name, n in found.items() if name not in ("auth", "info", "quit")}


def difference(after: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    """What was added, by name; what was not is left out."""
    grown = {name: number - before.get(name, 0) for name, number in after.items()}
    return {name: number for name, number in grown.items() if number}
