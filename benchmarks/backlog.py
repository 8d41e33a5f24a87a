"""A backlog of sagas that are due at once, and how it is worked off: at which pace, with how much
memory, and how long sagas wait that are created meanwhile.

python -m benchmarks.backlog                                # 20,000 sagas, each with its message
python -m benchmarks.backlog --no-messages                  # all messages are lost: sweepers alone
python -m benchmarks.backlog --sagas 5000 --workers 4x8     # PROCESSESxTHREADS of the workers

The API is up and the workers are not while the backlog is made. Then they start, and clients buy
on: a new saga each second, in turn with `Prefer: wait` and by asking again and again.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import psycopg

from benchmarks import accounting
from benchmarks.client import Client
from benchmarks.counters import PostgresCounters, difference, redis_calls
from benchmarks.ledger import violations
from benchmarks.load import Sagas
from benchmarks.system import Size, System
from benchmarks.workload import COMPLETED

_LOOK = 0.5
"""Seconds between two looks at what is left."""

_PARTS = 10
_PATIENCE = 900.0
_LEFT = "SELECT count(*) FROM sagas_saga WHERE due_at IS NOT NULL"
_CLAIMS = "SELECT sum(epoch), count(*) FROM sagas_saga"
_SENDS, _TAKES = ("rpush", "lpush", "zadd"), ("blpop", "bzpopmin", "bzpopmax")


@dataclass(frozen=True, slots=True)
class Look:
    """How things stood at one moment of the drain."""

    at: float
    left: int
    cpu: dict[str, float]
    worker_mb: float


@dataclass(slots=True)
class New:
    """The sagas that were created meanwhile."""

    latencies: list[tuple[float, float, bool]] = field(default_factory=list)
    """When each was created, how long it took, and whether its client waited."""

    ends: Counter[str] = field(default_factory=Counter)
    created: int = 0


class Drain:
    """One backlog, from the start of the workers on."""

    def __init__(self, system: System, sagas: int, pause: float) -> None:
        self._system = system
        self._sagas = sagas
        self._pause = pause
        self._roles = {role: pids for role, pids in system.roles.items() if role != "shop"}
        self.looks: list[Look] = []
        self.new = New()

    async def run(self) -> None:
        """Have it worked off, with clients that go on buying."""
        with closing(Client(self._system.api_port)) as client:
            self._started = time.monotonic()
            buying = asyncio.create_task(self._buy(client))
            await asyncio.to_thread(self._watch)
            buying.cancel()
            await asyncio.gather(buying, return_exceptions=True)
            while self.new.ends.total() < self.new.created:
                await asyncio.sleep(0.1)

    def _watch(self) -> None:
        with psycopg.connect(self._system.postgres.url, autocommit=True) as database:
            self.looks.append(self._look(database))
            self._system.work()
            self._roles["worker"] = self._system.roles["worker"]
            while self.looks[-1].left > self._sagas // 200:
                time.sleep(_LOOK)
                self.looks.append(self._look(database))
                if self.looks[-1].at > _PATIENCE:
                    raise RuntimeError(f"{self.looks[-1].left} sagas are left")

    def _look(self, database: psycopg.Connection[Any]) -> Look:
        row = database.execute(_LEFT).fetchone()
        assert row is not None
        used, held = accounting.cpu(self._roles), accounting.memory(self._roles)
        worker = held["worker"].pss if "worker" in held else 0.0
        return Look(time.monotonic() - self._started, row[0], used, worker)

    async def _buy(self, client: Client) -> None:
        sagas = {True: Sagas(client, 30), False: Sagas(client, 0)}
        async with asyncio.TaskGroup() as group:
            try:
                while True:
                    self.new.created += 1
                    waits = bool(self.new.created % 2)
                    number = self._sagas + self.new.created
                    group.create_task(self._one(sagas[waits], number, waits=waits))
                    await asyncio.sleep(self._pause)
            except asyncio.CancelledError:
                return  # those that were created go on to their end

    async def _one(self, sagas: Sagas, number: int, *, waits: bool) -> None:
        started = time.monotonic()
        try:
            status = await sagas.submit(number)
        except Exception as error:
            status = f"error: {type(error).__name__}: {error}"[:200]
        took = time.monotonic() - started
        self.new.latencies.append((started - self._started, took, waits))
        self.new.ends[status] += 1

    # --- What was found -----------------------------------------------------------------------

    def show(self) -> list[str]:
        """A line for each tenth of the backlog, and all of it."""
        lines = [
            f"{'left':>7} {'sagas/s':>8} {'CPU ms/saga':>12} {'worker MB':>10}  new: p50, p95 s"
        ]
        edges = self._edges()
        lines += [self._line(a, b) for a, b in pairwise(edges)]
        lines.append(f"all of it:\n{self._line(edges[0], edges[-1])}")
        for name, wanted in (("with Prefer: wait", True), ("asking", False)):
            took = [took for _, took, waits in self.new.latencies if waits is wanted]
            lines.append(f"new, {name}: {_spread(took)} of {len(took)}")
        return lines

    def _edges(self) -> list[Look]:
        """The look at which each tenth was done; the first is when the workers had begun."""
        begun = self.looks[1:]
        edges = [begun[0]]
        for part in range(1, _PARTS):
            limit = self._sagas * (1 - part / _PARTS)
            edges.append(next(look for look in begun if look.left <= limit))
        return [*edges, self.looks[-1]]

    def _line(self, before: Look, after: Look) -> str:
        created = sum(before.at <= at < after.at for at, _, _ in self.new.latencies)
        done = before.left - after.left + created
        used = sum(after.cpu.values()) - sum(before.cpu.values())
        took = [took for at, took, _ in self.new.latencies if before.at <= at < after.at]
        pace = done / max(after.at - before.at, 0.001)
        return (
            f"{after.left:7} {pace:8.1f} {used / max(done, 1) * 1000:12.2f}"
            f" {after.worker_mb:10.0f}  {_spread(took)}"
        )


def _spread(seconds: list[float]) -> str:
    if not seconds:
        return "-"
    ordered = sorted(seconds)
    median, late = (ordered[round(share * (len(ordered) - 1))] for share in (0.5, 0.95))
    return f"{median:.2f}, {late:.2f}"


def _contention(system: System, drain: Drain, redis: dict[str, int]) -> str:
    """What several processes did in vain."""
    with psycopg.connect(system.postgres.url) as database:
        row = database.execute(_CLAIMS).fetchone()
    assert row is not None
    claims, sagas = row
    sends, takes = (sum(redis.get(name, 0) for name in names) for names in (_SENDS, _TAKES))
    refused = system.log("worker").count("lease of saga")
    return (
        f"per saga: {claims / sagas:.3f} claims, {redis.get('set', 0) / sagas:.2f} SET (locks),"
        f" {sends / sagas:.2f} commands that send, {takes / sagas:.2f} that take;"
        f" leases lost: {refused}"
    )


def main() -> int:
    """Run it; 1 when an order was not dealt with as it must be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backlog", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--sagas", type=int, default=20_000)
    parser.add_argument("--workers", type=Size.parse, default=Size())
    parser.add_argument("--no-messages", action="store_true")
    parser.add_argument("--latency", type=float, default=0, help="ms that each call takes (0)")
    parser.add_argument("--every", type=float, default=1.0, help="seconds between new sagas (1)")
    options = parser.parse_args()
    with System(options.workers.variables("WORKER"), 0, works=False) as system:
        system.shop("/config", latency=options.latency / 1000, decline_every=0)
        messages = [] if options.no_messages else ["--messages"]
        system.python("-m", "benchmarks.filling", str(options.sagas), *messages)
        drain = Drain(system, options.sagas, options.every)
        before = redis_calls(system.redis.url)
        with closing(PostgresCounters(system.database("postgres"), "saga")) as counters:
            stored = counters.read()
            asyncio.run(drain.run())
            stored = counters.read().since(stored)
        number = options.sagas + drain.new.created
        print("\n".join(drain.show()))
        print(f"commits per saga: {stored.ids / number:.2f}")
        print(_contention(system, drain, difference(redis_calls(system.redis.url), before)))
        problems = violations(system.shop("/ledger"), range(1, number + 1), 0)
        problems += [f"{n} sagas: {end}" for end, n in drain.new.ends.items() if end != COMPLETED]
    for problem in problems[:20]:
        print(f"PROBLEM: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
