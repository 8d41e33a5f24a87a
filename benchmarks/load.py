"""A closed loop: so many sagas are always in flight, each new one begins as another ends."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.client import Client
from benchmarks.workload import COMPENSATED, COMPLETED, order

_FIRST_POLL, _GROWTH, _LONGEST_POLL = 0.02, 1.5, 0.25
_PATIENCE = 120.0
"""Seconds that a saga may take before it is counted as not ended."""


@dataclass(slots=True)
class Outcome:
    """How a phase went, as the clients saw it."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)

    def percentile(self, share: float) -> float:
        """Seconds that so large a share of the sagas did not exceed."""
        ordered = sorted(self.latencies)
        return ordered[round(share * (len(ordered) - 1))] if ordered else 0.0

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "seconds": self.seconds,
            "latencies": self.latencies,
            "statuses": dict(self.statuses),
        }


async def closed_loop(
    submit: Callable[[int], Awaitable[str]], orders: Iterable[int], in_flight: int
) -> Outcome:
    """Submit the orders; `submit` returns how a saga ended."""
    outcome, waiting = Outcome(), iter(orders)

    async def one_after_another() -> None:
        for number in waiting:
            started = time.perf_counter()
            try:
                status = await submit(number)
            except Exception as error:
                status = f"error: {type(error).__name__}: {error}"[:200]
            outcome.latencies.append(time.perf_counter() - started)
            outcome.statuses[status] += 1

    started = time.perf_counter()
    await asyncio.gather(*(one_after_another() for _ in range(in_flight)))
    outcome.seconds = time.perf_counter() - started
    return outcome


class Sagas:
    """Submits sagas to the API: one request creates and starts, and may wait for the end."""

    def __init__(self, client: Client, wait: int) -> None:
        self._client = client
        self._prefer = f"Prefer: wait={wait}\r\n" if wait else ""
        self.polls = 0

    async def submit(self, number: int) -> str:
        """Create the order's saga and follow it to its end; its status then."""
        saga = await self._ask(
            "POST",
            "/api/v1/sagas",
            {"type": "bench_purchase", "data": order(number), "execute": True},
            f"Idempotency-Key: order-{number}\r\n{self._prefer}",
        )
        target = f"/api/v1/sagas/{saga['id']}"
        pause, until = _FIRST_POLL, time.monotonic() + _PATIENCE
        while saga["status"] not in (COMPLETED, COMPENSATED, "failed"):
            if time.monotonic() > until:
                return f"{saga['status']} after {_PATIENCE:g} s"
            await asyncio.sleep(pause)
            pause = min(pause * _GROWTH, _LONGEST_POLL)
            saga = await self._ask("GET", target)
            self.polls += 1
        status: str = saga["status"]
        return status

    async def _ask(self, method: str, target: str, body: Any = None, headers: str = "") -> Any:
        status, answer = await self._client.request(method, target, body, headers)
        if status not in (200, 201, 202):
            raise RuntimeError(f"{method} {status}: {answer[:150].decode(errors='replace')}")
        return json.loads(answer)
