"""Clients that go on buying while things break: what they were told, and how soon."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from threading import Event, Thread
from typing import Any, Self
from uuid import uuid4

import requests

from tests.acceptance.service import PURCHASE, Service, eventually

PAUSE = 0.2
"""Seconds between two purchases of one client: it is trouble that is tested here, not load."""


class Buyers:
    """Threads that each create one purchase after the other; a context manager.

    Each repeats a request under its key until it is answered with 201, as a client should.
    """

    def __init__(self, service: Service, threads: int = 3) -> None:
        self._service = service
        self._told = Event()
        self._threads = [Thread(target=self._buy, daemon=True) for _ in range(threads)]
        self.sagas: dict[str, str] = {}
        """Ids of sagas, by key, of which a client was told."""

        self.answers: list[tuple[int, float]] = []
        """Status and seconds of every answer; 0 is none at all."""

        self.odd: list[str] = []
        """Answers that are neither 201 nor a proper 503."""

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        time.sleep(0.5)
        return self

    def __exit__(self, *exc: object) -> None:
        time.sleep(0.5)
        self._told.set()
        for thread in self._threads:
            thread.join(30)

    def counts(self) -> Counter[int]:
        """How often each status was answered."""
        return Counter(status for status, _ in self.answers)

    def slowest(self, status: int) -> float:
        """Seconds of the slowest answer with that status."""
        return max((seconds for got, seconds in self.answers if got == status), default=0.0)

    def broken_promises(self, seconds: float = 40) -> list[str]:
        """What is wrong after every saga has ended; one that ends too late fails the test."""
        service = self._service
        eventually(lambda: service.count("in_progress") == 0, seconds, "every saga has ended")
        statuses = {saga_id: service.status(saga_id) for saga_id in self.sagas.values()}
        found = [f"{saga_id}: {s}" for saga_id, s in statuses.items() if s != "completed"]
        keys = "', '".join(self.sagas)
        made = service.sql(f"select count(*) from sagas_saga where idempotency_key in ('{keys}')")
        if made[0][0] != len(self.sagas) or len(set(statuses)) != len(self.sagas):
            found.append(f"{len(self.sagas)} keys, {made[0][0]} sagas")
        return self.odd + found + service.broken(*statuses)

    def _buy(self) -> None:
        http = requests.Session()
        while not self._told.is_set():
            key = uuid4().hex
            while (answer := self._post(http, key)) is None or answer.status_code != 201:
                time.sleep(0.1)
            self.sagas[key] = answer.json()["id"]
            time.sleep(PAUSE)

    def _post(self, http: requests.Session, key: str) -> requests.Response | None:
        body: dict[str, Any] = {"type": "purchase_saga", "data": PURCHASE, "execute": True}
        url, started, answer = f"{self._service.url}/api/v1/sagas", time.monotonic(), None
        with suppress(requests.RequestException):
            answer = http.post(url, json=body, headers={"Idempotency-Key": key}, timeout=40)
        status = 0 if answer is None else answer.status_code
        self.answers.append((status, time.monotonic() - started))
        if answer is not None and not _proper(answer):
            self.odd.append(f"{status} {answer.headers} {answer.text[:300]}")
        return answer


def _proper(answer: requests.Response) -> bool:
    if answer.status_code == 201:
        return True
    problem = answer.headers.get("Content-Type") == "application/problem+json"
    return answer.status_code == 503 and problem and int(answer.headers["Retry-After"]) > 0
