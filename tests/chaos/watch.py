"""What our own connection sees of the database, while the sagas run and afterwards."""

from __future__ import annotations

import csv
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from tests.chaos.recovery import Mark, pid_of
from tests.chaos.system import System

_OVERDUE = (
    "select coalesce(max(extract(epoch from clock_timestamp() - due_at)), 0), count(*)"
    " from sagas_saga where due_at <= clock_timestamp()"
)
_TABLES = ("sagas_saga", "sagas_sagastep", "sagas_sagaevent")


class Watch:
    """Notes every half second how long the longest waiting due saga has waited."""

    def __init__(self, system: System) -> None:
        self.longest_wait = 0.0
        self.most_due = 0
        self._system = system
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with self._system.database() as database:
                    while not self._stop.wait(0.5):
                        row = database.execute(_OVERDUE).fetchone()
                        assert row is not None
                        self.longest_wait = max(self.longest_wait, float(row[0]))
                        self.most_due = max(self.most_due, row[1])
            except psycopg.Error:
                self._stop.wait(0.5)  # a fault's doing


def under_way(system: System) -> int:
    """How many sagas are in progress."""
    return int(_rows(system, "select count(*) from sagas_saga where status = 'in_progress'")[0][0])


def failed(system: System) -> list[str]:
    """The sagas that failed."""
    return [str(row[0]) for row in _rows(system, "select id from sagas_saga where status='failed'")]


def unreasoned(system: System) -> int:
    """How many failed without a reason."""
    sql = "select count(*) from sagas_saga where status = 'failed' and reason = ''"
    return int(_rows(system, sql)[0][0])


def driving(system: System) -> set[int]:
    """The worker processes that hold the lease of a saga; none if the database is away."""
    try:
        sql = "select distinct owner from sagas_saga where due_at > clock_timestamp()"
        return {pid_of(row[0]) for row in _rows(system, sql)} - {0}
    except psycopg.Error:
        return set()


def early_purchase(system: System) -> str:
    """A purchase that is yet to take the money; empty if there is none, or no database."""
    sql = (
        "select id from sagas_saga where type = 'purchase_saga' and status = 'in_progress'"
        " and direction = 'forward' and current_step in ('validate_inventory', 'reserve_inventory')"
        " order by id desc limit 1"
    )
    try:
        return next((str(row[0]) for row in _rows(system, sql)), "")
    except psycopg.Error:
        return ""


def by_type_and_status(system: System) -> list[tuple[str, str, int]]:
    """How many sagas there are of each."""
    sql = "select type, status, count(*) from sagas_saga group by 1, 2 order by 1, 2"
    return [(row[0], row[1], row[2]) for row in _rows(system, sql)]


def takeovers(system: System) -> int:
    """How often a worker found a call that another had left unanswered."""
    sql = "select count(*) from sagas_sagaevent where kind = 'attempt_interrupted'"
    return int(_rows(system, sql)[0][0])


def marks(system: System) -> Iterator[Mark]:
    """All events of workers."""
    sql = (
        "select saga_id, seq, kind, actor, extract(epoch from at) from sagas_sagaevent"
        " where actor like '%:%:%' order by saga_id, seq"
    )
    with system.database() as database:
        for row in database.execute(sql):
            yield Mark(str(row[0]), row[1], row[2], row[3], float(row[4]))


def dump(system: System, folder: Path) -> None:
    """The three tables as CSV files."""
    with system.database() as database:
        for table in _TABLES:
            rows = database.execute(f"select * from {table} order by 1")
            with (folder / f"{table}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow([column.name for column in rows.description or ()])
                writer.writerows(rows)


def settle(system: System, bound: float) -> float | None:
    """Wait until no saga is in progress; how long that took, None if longer than the bound."""
    began = time.monotonic()
    while time.monotonic() - began < bound:
        for slot in system.slots:
            slot.look()
        if not under_way(system):
            return time.monotonic() - began
        time.sleep(0.2)
    return None


def _rows(system: System, sql: str) -> list[tuple[Any, ...]]:
    with system.database() as database:
        return database.execute(sql).fetchall()
