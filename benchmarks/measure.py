"""One measured run: a warm-up, then the sagas that count, and what each of them took."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks import accounting
from benchmarks.contenders import Contender
from benchmarks.counters import Database, PostgresCounters, Statement, difference, redis_calls
from benchmarks.ledger import violations
from benchmarks.load import Outcome
from benchmarks.system import System
from benchmarks.workload import COMPENSATED, COMPLETED, is_declined

_QUIET = 0.5
"""Seconds after the last saga's end in which what it left behind is done."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of every contender."""

    in_flight: int
    sagas: int
    latency: float
    """Seconds that each call takes."""

    decline_every: int

    @property
    def warm_up(self) -> int:
        """Sagas before those that count; enough to open all connections."""
        return max(self.in_flight, min(self.sagas // 5, 300), 20)


@dataclass(slots=True)
class Run:
    """The figures of one run; those without a unit in the name are per saga."""

    contender: str
    plan: Plan
    sagas_per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    cpu_ms: dict[str, float]
    """By role; their sum is the figure."""

    beside_ms: dict[str, float]
    """CPU of the client and the shop, which is nobody's merit or fault."""

    commits: float
    transactions: float
    wal_bytes: float
    statements: float
    checks: float
    """Of foreign keys, that PostgreSQL made by itself."""

    redis: dict[str, float]
    polls: float
    pss_mb: dict[str, float]
    rss_mb: dict[str, float]
    calibration_ms: float = 0.0
    """CPU of a fixed loop before and after: tells a slow moment of the machine."""

    problems: list[str] = field(default_factory=list)
    top_statements: list[Statement] = field(default_factory=list)

    @property
    def cpu(self) -> float:
        """Milliseconds of CPU that a saga takes."""
        return sum(self.cpu_ms.values())

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self) | {"cpu_ms_per_saga": self.cpu}


@dataclass(slots=True)
class _Snapshot:
    cpu: dict[str, float]
    beside: dict[str, float]
    redis: dict[str, int]
    stored: Database


def calibration() -> float:
    """Milliseconds of CPU for a fixed loop, the best of three."""

    def once() -> float:
        started, total = time.process_time(), 0
        for number in range(300_000):
            total += number * number
        return time.process_time() - started

    return min(once() for _ in range(3)) * 1000


def run(
    system: System, contender: Contender, plan: Plan, first: int, during: Callable[[], None]
) -> Run:
    """Measure one contender, with orders numbered from `first`; `during` is called as soon as
    they count."""
    warm_up = range(first, first + plan.warm_up)
    counted = range(warm_up.stop, warm_up.stop + plan.sagas)
    system.shop("/config", latency=plan.latency, decline_every=plan.decline_every)
    speed = calibration()
    with closing(PostgresCounters(system.database("postgres"), contender.database)) as postgres:
        warm = contender.drive(warm_up, plan.in_flight)
        time.sleep(_QUIET)
        postgres.forget_statements()
        before = _snapshot(system, contender, postgres)
        during()
        outcome = contender.drive(counted, plan.in_flight)
        time.sleep(_QUIET)
        after = _snapshot(system, contender, postgres)
        statements = postgres.statements()
    found = _figures(contender, plan, outcome, before, after, statements)
    found.calibration_ms = (speed + calibration()) / 2
    orders = range(warm_up.start, counted.stop)
    found.problems = violations(system.shop("/ledger"), orders, plan.decline_every)
    found.problems += _endings(warm, warm_up, plan) + _endings(outcome, counted, plan)
    return found


def _figures(
    contender: Contender,
    plan: Plan,
    outcome: Outcome,
    before: _Snapshot,
    after: _Snapshot,
    statements: list[Statement],
) -> Run:
    each = 1 / plan.sagas
    stored = after.stored.since(before.stored)
    memory = accounting.memory(contender.roles)
    return Run(
        contender=contender.name,
        plan=plan,
        sagas_per_second=plan.sagas / outcome.seconds,
        p50_ms=outcome.percentile(0.5) * 1000,
        p95_ms=outcome.percentile(0.95) * 1000,
        p99_ms=outcome.percentile(0.99) * 1000,
        cpu_ms=_grown(after.cpu, before.cpu, each * 1000),
        beside_ms=_grown(after.beside, before.beside, each * 1000),
        commits=stored.ids * each,
        transactions=stored.transactions * each,
        wal_bytes=stored.wal * each,
        statements=sum(s.calls for s in statements if not s.is_check) * each,
        checks=sum(s.calls for s in statements if s.is_check) * each,
        redis={k: n * each for k, n in difference(after.redis, before.redis).items()},
        polls=contender.polls * each,
        pss_mb={role: held.pss for role, held in memory.items()},
        rss_mb={role: held.rss for role, held in memory.items()},
        top_statements=statements,
    )


def _snapshot(system: System, contender: Contender, postgres: PostgresCounters) -> _Snapshot:
    counted = accounting.cpu(contender.roles)
    shop = accounting.cpu({"shop": system.roles["shop"]})
    calls = redis_calls(system.redis.url) if "redis" in contender.roles else {}
    return _Snapshot(counted, shop | {"client": time.process_time()}, calls, postgres.read())


def _grown(after: dict[str, float], before: dict[str, float], scale: float) -> dict[str, float]:
    return {name: (value - before[name]) * scale for name, value in after.items()}


def _endings(outcome: Outcome, orders: range, plan: Plan) -> list[str]:
    """What the clients were told must agree with what the shop was asked to decline."""
    declined = sum(is_declined(number, plan.decline_every) for number in orders)
    wanted = {COMPLETED: len(orders) - declined, COMPENSATED: declined}
    had = dict(outcome.statuses)
    if had == {status: number for status, number in wanted.items() if number}:
        return []
    return [f"the sagas ended as {had}"]
