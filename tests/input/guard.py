"""Sends a request to the running service, and sees what became of it: rows, log and answer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from tests.acceptance.service import PURCHASE, Service
from tests.api.contract import Contract
from tests.input.wire import SAGAS, Answer, exchange, request

PROBLEM = "application/problem+json"
BODY = {"type": "purchase_saga", "data": PURCHASE}

_INSIDE = re.compile(
    rb"Traceback|File \"|site-packages|\.py\b|SELECT|INSERT|UPDATE |psycopg|sagas_|django|/tmp/|"
    rb"Error\(|Exception"
)
_ROWS = """
    SELECT (SELECT count(*) FROM sagas_saga), (SELECT coalesce(sum(seq), 0) FROM sagas_saga),
           (SELECT count(*) FROM sagas_sagastep), (SELECT count(*) FROM sagas_sagaevent),
           (SELECT count(*) FROM auth_user), (SELECT count(*) FROM auth_group)
"""


class Guard:
    """Watches the service over one request after the other."""

    def __init__(self, service: Service, contract: Contract) -> None:
        assert service.log is not None
        self.service = service
        self.contract = contract
        self.log: Path = service.log
        self.rows = psycopg.connect(service.postgres.url, autocommit=True)

    def count(self) -> tuple[int, ...]:
        """How much there is: sagas, events, steps, users."""
        row = self.rows.execute(_ROWS).fetchone()
        assert row is not None
        return tuple(int(number) for number in row)

    def stored(self, saga_id: str) -> Any:
        """The data column of the saga."""
        row = self.rows.execute("SELECT data FROM sagas_saga WHERE id = %s", [saga_id]).fetchone()
        assert row is not None
        return row[0]

    def mark(self) -> int:
        """Where the log ends now."""
        return self.log.stat().st_size

    def since(self, mark: int) -> str:
        """What the log says since then."""
        with self.log.open("rb") as log:
            log.seek(mark)
            return log.read().decode(errors="replace")

    def send(self, sent: bytes, **how: Any) -> Answer:
        """The answer; nothing in the log says that the service erred."""
        mark = self.mark()
        # A server that closes before it has read all may take its answer back with a reset.
        tries = (exchange(self.service.url, sent, **how) for _ in range(5))
        answer = next((found for found in tries if found is not None), None)
        said = self.since(mark)
        assert not faults(said), said
        assert answer is not None, "closed without an answer"
        assert answer.status < 500, answer
        return answer

    def refused(self, sent: bytes, status: int, **how: Any) -> Answer:
        """The answer, which is a problem of that status, tells nothing and changed nothing."""
        before = self.count()
        answer = self.send(sent, **how)
        assert answer.status == status, answer
        assert self.count() == before, "rows changed"
        self.is_problem(sent, answer)
        return answer

    def is_problem(self, sent: bytes, answer: Answer) -> None:
        """Fail unless the answer is as openapi.yaml has it, and tells nothing of the inside."""
        assert answer.headers["content-type"] == PROBLEM
        method, target = sent.split(b" ", 2)[:2]
        path = urlsplit(target.decode("latin-1")).path
        self.contract.check(method.decode(), path, answer.status, answer.headers, answer.body)
        assert answer.json["status"] == answer.status
        assert not _INSIDE.search(answer.body), answer.body
        assert len(answer.body) < 100_000

    def refused_by_gunicorn(self, sent: bytes, status: int) -> Answer:
        """The answer to what is no HTTP: it never reaches the application, and is a problem all
        the same; it changes nothing, tells nothing, and ends the connection.
        """
        before = self.count()
        answer = self.send(sent)
        assert answer.status == status, answer
        assert self.count() == before, "rows changed"
        assert answer.headers["content-type"] == PROBLEM
        assert answer.headers["connection"] == "close"
        assert answer.json["status"] == answer.status
        assert set(answer.json) == {"type", "title", "status", "detail"}
        assert not _INSIDE.search(answer.body), answer.body
        return answer

    def still_serves(self) -> None:
        """Fail unless a good request is answered as ever."""
        answer = self.send(request("GET", f"{SAGAS}?limit=1"))
        assert answer.status == 200
        assert answer.json["limit"] == 1


def faults(said: str) -> list[str]:
    """The lines of the API's log that tell of an error, or that are none of its form."""
    return [line[:2000] for line in said.splitlines() if _is_fault(line)]


def _is_fault(line: str) -> bool:
    try:
        told = json.loads(line)
    except ValueError:
        return "Traceback" in line or "ERROR" in line
    return "exception" in told or told["level"] in ("error", "critical")
