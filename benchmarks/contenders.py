"""What is measured side by side: the project, and the floors."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from abc import ABC, abstractmethod
from collections import Counter
from types import TracebackType
from typing import Self

import psycopg

from benchmarks.client import Client
from benchmarks.load import Outcome, Sagas, closed_loop
from benchmarks.system import ROOT, System, end


class Contender(ABC):
    """Something that brings orders to their end; a context manager for one run."""

    name: str
    database: str
    """Its database on the system's PostgreSQL."""

    roles: dict[str, list[int]]
    """Its processes."""

    polls = 0
    """Times that a client asked whether a saga had ended."""

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    @abstractmethod
    def drive(self, orders: range, in_flight: int) -> Outcome:
        """Bring these orders to their end, so many at once."""


class Project(Contender):
    """The project as it runs: clients ask its API, its workers drive the sagas."""

    name = "project"
    database = "saga"

    def __init__(self, system: System, wait: int) -> None:
        self.roles = {role: pids for role, pids in system.roles.items() if role != "shop"}
        self._runner = asyncio.Runner()
        self._client = Client(system.api_port)
        self._sagas = Sagas(self._client, wait)

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._runner.close()

    def drive(self, orders: range, in_flight: int) -> Outcome:
        before = self._sagas.polls
        outcome = self._runner.run(closed_loop(self._sagas.submit, orders, in_flight))
        self.polls = self._sagas.polls - before
        return outcome


class Floor(Contender):
    """One of the floors, in a process of its own."""

    database = "floor"

    def __init__(self, system: System, kind: str, width: int) -> None:
        self.name = f"floor-{kind}"
        with psycopg.connect(system.database("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {self.database}")
        command = ["-m", "benchmarks.floors", kind, system.database(self.database)]
        self._process = subprocess.Popen(
            [sys.executable, *command, str(system.shop_port), str(width)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.roles = {"floor": [self._process.pid], "postgres": system.roles["postgres"]}

    def __exit__(self, *_: object) -> None:
        end(self._process)

    def drive(self, orders: range, in_flight: int) -> Outcome:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        phase = {"first": orders.start, "number": len(orders), "in_flight": in_flight}
        self._process.stdin.write(json.dumps(phase) + "\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline() or "null")
        if told is None:
            raise RuntimeError(f"{self.name} ended with {self._process.wait()}")
        return Outcome(told["seconds"], told["latencies"], Counter(told["statuses"]))
