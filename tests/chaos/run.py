"""One chaos run from its beginning to its verdict."""

from __future__ import annotations

import heapq
import itertools
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.chaos import watch
from tests.chaos.client import Client, Told
from tests.chaos.faults import Faults
from tests.chaos.load import Load
from tests.chaos.plan import Strike, orders, strikes
from tests.chaos.recovery import Recovery, recoveries
from tests.chaos.struck import Struck
from tests.chaos.system import RECOVERY_MS, System

LEASE, SWEEP, CALL, BACKOFF = 7.0, 1.0, 5.0, 4.4
"""Seconds, as shipped: what a saga may still have to wait for once the faults have stopped."""

PER_SAGA = 0.1
"""Seconds that each saga of the backlog may take besides, on two cores."""

_LATECOMERS = 12.0
"""A request that the network kept back arrives up to so much later: it must find a barrier."""

_OPERATOR_ROUNDS = 5

_NEWS = 15.0
"""Seconds from one line about how far it is to the next."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What is asked for."""

    seed: int
    seconds: float
    sagas: int
    workers: int
    kinds: Sequence[str]
    operator: bool = False


@dataclass(kw_only=True)
class Result:
    """What was found."""

    options: Options
    struck: Struck
    told: Told
    load: Load
    sagas: list[tuple[str, str, int]] = field(default_factory=list)
    recoveries: list[Recovery] = field(default_factory=list)
    takeovers: int = 0
    longest_wait: float = 0.0
    most_due: int = 0
    settled: float | None = None
    bound: float = 0.0
    operator_retries: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    verified: dict[str, Any] = field(default_factory=dict)

    @property
    def violations(self) -> list[str]:
        """Everything that must not be."""
        found = [
            f"invariant {one['invariant']}: {one['saga']} {one['text']}"
            for one in self.verified.get("violations", [])
        ]
        return [*self.problems, *self.load.problems, *self.told.odd, *found]


def run(system: System, options: Options, say: Callable[[str], None]) -> Result:
    """Let load and faults loose on a system that is up, then wait for quiet, and check."""
    struck = Struck(options.kinds)
    told = Told(system.folder / "clients.jsonl")
    client = Client(system.port, told)
    asked = orders(options.seed, options.sagas, options.seconds)
    load = Load(client, asked, prefix=f"chaos-{options.seed}")
    faults, seen = Faults(system, struck), watch.Watch(system)
    result = Result(options=options, struck=struck, told=told, load=load)
    try:
        load.start()
        seen.start()

        def tell() -> None:
            say(f"  {faults.so_far()} faults struck, {len(told.sagas)} sagas made so far")

        _storm(system, options, faults, tell)
        say("the faults stop; waiting until every saga has come to rest")
        faults.stop()
        _calm(system, load, result, client)
    finally:
        faults.stop_thieves()
        load.stop()
        seen.stop()
        told.close()
    result.longest_wait, result.most_due = seen.longest_wait, seen.most_due
    say("checking the promises")
    _judge(system, result)
    return result


def _storm(system: System, options: Options, faults: Faults, tell: Callable[[], None]) -> None:
    """Make each fault at its time, end it when its time is over, and tell how far it is."""
    began, number = time.monotonic(), itertools.count()
    todo: list[tuple[float, int, Callable[[], None]]] = []

    def make(strike: Strike) -> None:
        undo = faults.make(strike)
        if undo is not None:
            due = time.monotonic() - began + strike.seconds
            heapq.heappush(todo, (due, next(number), undo))

    planned = strikes(options.seed, options.seconds, options.kinds)
    todo += [(strike.at, next(number), partial(make, strike)) for strike in planned]
    times = int(options.seconds / _NEWS)
    todo += [(_NEWS * index, next(number), tell) for index in range(1, times + 1)]
    heapq.heapify(todo)
    while todo or time.monotonic() - began < options.seconds:
        if todo and todo[0][0] <= time.monotonic() - began:
            heapq.heappop(todo)[2]()
            continue
        for slot in system.slots:
            slot.look()
        time.sleep(0.02)


def _calm(system: System, load: Load, result: Result, client: Client) -> None:
    """Wait until all have what they asked for and every saga has come to rest."""
    until = time.monotonic() + 90
    for slot in system.slots:
        slot.start()
    while not load.finished():
        for slot in system.slots:
            slot.look()
        if time.monotonic() > until:
            result.problems.append("clients were still busy 90 s after the faults had stopped")
            break
        time.sleep(0.1)
    waits = LEASE + 2 * SWEEP + CALL + BACKOFF + RECOVERY_MS / 1000
    # On a machine that has other work as well, everything takes as much longer.
    slower = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    result.bound = (waits + PER_SAGA * watch.under_way(system)) * slower
    _settle(system, result)
    for _ in range(_OPERATOR_ROUNDS if result.options.operator else 0):
        stopped = watch.failed(system)
        for saga_id in stopped:
            client.operate("retry", saga_id)
        result.operator_retries += len(stopped)
        if not stopped:
            break
        _settle(system, result)
    if {"network_delay", "shop_delay"} & set(result.options.kinds):
        time.sleep(_LATECOMERS)


def _settle(system: System, result: Result) -> None:
    took = watch.settle(system, result.bound)
    result.settled = max(result.settled or 0.0, took or 0.0)
    if took is None:
        left = watch.under_way(system)
        result.problems.append(f"{left} sagas were in progress after {result.bound:.1f} s of quiet")


def _judge(system: System, result: Result) -> None:
    for slot in system.slots:
        slot.close()
        if slot.slow_to_end:
            result.problems.append(f"{slot.name} did not end on SIGTERM {slot.slow_to_end} times")
        for status, times in slot.ended_by_itself.items():
            result.notes.append(f"{slot.name} ended by itself with {status}, {times} times")
    result.sagas = watch.by_type_and_status(system)
    result.takeovers = watch.takeovers(system)
    result.recoveries = recoveries(result.struck.kills, watch.marks(system))
    if unreasoned := watch.unreasoned(system):
        result.problems.append(f"{unreasoned} sagas failed without a reason")
    for recovery in result.recoveries:
        if recovery.seconds is None:
            result.problems.append(f"{recovery.saga_id} was never taken over from a killed worker")
    result.verified = _verify(system, result)


def _verify(system: System, result: Result) -> dict[str, Any]:
    arguments = ["--participants", "--clients", str(system.folder / "clients.jsonl"), "--json"]
    if "network_duplicate" in result.options.kinds:
        arguments.append("--duplicating-network")
    done = system.manage("verify", *arguments)
    (system.folder / "verify.json").write_text(done.stdout)
    if done.returncode not in (0, 1):
        result.problems.append(f"verify could not check: {done.stderr.strip()[-500:]}")
        return {}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def keep(system: System, result: Result) -> Path:
    """Leave everything in the folder that helps to find the cause."""
    watch.dump(system, system.folder)
    notes = [f"{when:.3f} {kind} {more}\n" for when, kind, more in result.struck.notes]
    (system.folder / "faults.txt").write_text("".join(notes))
    (system.folder / "violations.txt").write_text("\n".join(result.violations) + "\n")
    return system.folder
