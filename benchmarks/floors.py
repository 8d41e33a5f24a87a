"""The floors: what such a saga costs at the least in Python, with seven commits and five calls.

No state machine, lease, history or recovery: INSERT the saga, a row for each answer, UPDATE at the
end. Run as a process of its own, which reads phases on its standard input and answers with how
each went:

    python -m benchmarks.floors threads|asyncio DATABASE SHOP_PORT WIDTH
    {"first": 1, "number": 100, "in_flight": 32}
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

import psycopg
from psycopg_pool import AsyncConnectionPool

from benchmarks.client import Client
from benchmarks.load import Outcome, closed_loop
from benchmarks.workload import COMPENSATED, COMPLETED, RELEASE, RESERVE, STEPS, order

SCHEMA = """
CREATE TABLE IF NOT EXISTS saga (
    id bigint PRIMARY KEY, payload jsonb NOT NULL, status text NOT NULL);
CREATE TABLE IF NOT EXISTS step (
    saga bigint, name text, status text NOT NULL, answer jsonb NOT NULL, PRIMARY KEY (saga, name));
"""
_BEGIN = "INSERT INTO saga VALUES (%s, %s, 'running')"
_STEP = "INSERT INTO step VALUES (%s, %s, %s, %s)"
_END = "UPDATE saga SET status = %s WHERE id = %s"

Submit = Callable[[int], str]


class Commit(NamedTuple):
    """A statement to run in a transaction of its own."""

    statement: str
    values: tuple[Any, ...]


class Call(NamedTuple):
    """A call of the shop; what is sent back is the answer's status and text."""

    step: str
    key: str


def course(number: int, payload: str) -> Generator[Commit | Call, Any, str]:
    """What one saga does, in order; returns how it ended."""
    yield Commit(_BEGIN, (number, payload))
    done: list[str] = []
    for step in STEPS:
        status, text = yield Call(step, f"{number}:{step}")
        yield Commit(_STEP, (number, step, "done" if status == 200 else "failed", text))
        if status != 200:
            break
        done.append(step)
    ended = COMPLETED if len(done) == len(STEPS) else COMPENSATED
    if ended is COMPENSATED and RESERVE in done:
        _, text = yield Call(RELEASE, f"{number}:{RELEASE}")
        yield Commit(_STEP, (number, RELEASE, "done", text))
    yield Commit(_END, (ended, number))
    return ended


def in_threads(database: str, port: int) -> Submit:
    """psycopg and http.client, a connection of each for every thread."""
    mine = threading.local()

    def submit(number: int) -> str:
        if not hasattr(mine, "database"):
            mine.database = psycopg.connect(database, autocommit=True)
            mine.shop = HTTPConnection("127.0.0.1", port)
        body = json.dumps(order(number))
        saga, answer = course(number, body), None
        while True:
            try:
                action = saga.send(answer)
            except StopIteration as ended:
                return str(ended.value)
            if isinstance(action, Commit):
                mine.database.execute(*action)
            else:
                headers = {"Content-Type": "application/json", "Idempotency-Key": action.key}
                mine.shop.request("POST", f"/shop/{action.step}", body.encode(), headers)
                got = mine.shop.getresponse()
                answer = got.status, got.read().decode()

    return submit


class InThreads:
    """Threads that keep their connections, and work on the oldest of the sagas in flight."""

    def __init__(self, submit: Submit, width: int) -> None:
        self._submit = submit
        self._width = width
        self._threads = ThreadPoolExecutor(width)

    def closed_loop(self, orders: range, in_flight: int) -> Outcome:
        """As `load.closed_loop`."""
        outcome, rest, lock = Outcome(), iter(orders), threading.Lock()
        waiting: SimpleQueue[tuple[int, float]] = SimpleQueue()
        started = time.perf_counter()
        for _ in range(min(in_flight, len(orders))):
            waiting.put((next(rest), started))

        def work() -> None:
            while True:
                try:
                    number, since = waiting.get_nowait()
                except Empty:
                    return
                status = self._submit(number)
                with lock:
                    outcome.latencies.append(time.perf_counter() - since)
                    outcome.statuses[status] += 1
                    following = next(rest, None)
                if following is not None:
                    waiting.put((following, time.perf_counter()))

        working = [self._threads.submit(work) for _ in range(min(self._width, in_flight))]
        for each in working:
            each.result()
        outcome.seconds = time.perf_counter() - started
        return outcome


class InAsyncio:
    """psycopg's asynchronous pool, and the benchmark's own light client."""

    def __init__(self, pool: AsyncConnectionPool, port: int) -> None:
        self._pool = pool
        self._shop = Client(port)

    async def submit(self, number: int) -> str:
        """One saga; how it ended."""
        content = order(number)
        saga, answer = course(number, json.dumps(content)), None
        while True:
            try:
                action = saga.send(answer)
            except StopIteration as ended:
                return str(ended.value)
            if isinstance(action, Commit):
                async with self._pool.connection() as connection:
                    await connection.execute(*action)
            else:
                key = f"Idempotency-Key: {action.key}\r\n"
                status, body = await self._shop.request(
                    "POST", f"/shop/{action.step}", content, key
                )
                answer = status, body.decode()


def _phases() -> Generator[tuple[range, int]]:
    for line in sys.stdin:
        phase = json.loads(line)
        yield range(phase["first"], phase["first"] + phase["number"]), phase["in_flight"]


def _answer(outcome: Outcome) -> None:
    sys.stdout.write(json.dumps(outcome.document()) + "\n")
    sys.stdout.flush()


def _with_threads(database: str, port: int, width: int) -> None:
    floor = InThreads(in_threads(database, port), width)
    for orders, in_flight in _phases():
        _answer(floor.closed_loop(orders, in_flight))


async def _with_asyncio(database: str, port: int, width: int) -> None:
    options = {"autocommit": True}
    async with AsyncConnectionPool(
        database, min_size=width, max_size=width, kwargs=options
    ) as pool:
        floor = InAsyncio(pool, port)
        for orders, in_flight in _phases():
            _answer(await closed_loop(floor.submit, orders, in_flight))


def main() -> None:
    """Run one floor until its input ends."""
    kind, database, port, width = sys.argv[1:]
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(SCHEMA)
    if kind == "threads":
        _with_threads(database, int(port), int(width))
    else:
        asyncio.run(_with_asyncio(database, int(port), int(width)))


if __name__ == "__main__":
    main()
