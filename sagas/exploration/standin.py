"""Stands in for every participant: keeps the rules of one, and a ledger, and makes answers up."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, Self

from executors.base import SagaExecutor, Step
from executors.sample import sample


@dataclass
class Behaviour:
    """What goes wrong with the calls; the participants otherwise do as they should."""

    refuse: str = ""
    """The action that is refused in the first run."""

    lose_first_answers: bool = False
    """Whether the first attempt of each call takes effect, and its answer is lost."""


@dataclass
class _Books:
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    barred: set[str] = field(default_factory=set)
    amounts: dict[str, str | None] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    ledger: list[dict[str, Any]] = field(default_factory=list)


class StandIn:
    """An HTTP server on loopback; each participant of the saga type is a path of it."""

    def __init__(self, executor: SagaExecutor, now: Callable[[], datetime]) -> None:
        """Raises NoSample if it cannot make up an answer."""
        self._steps = {step.name: step for step in executor.steps}
        self._steps |= {step.compensation: step for step in executor.steps if step.compensation}
        self._now = now
        for step in executor.steps:
            sample(step.answer, step.name)  # sooner told than in the middle of a call
        self._lock = Lock()
        self.begin(Behaviour())
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.stand_in = self
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        url = f"http://127.0.0.1:{self._server.server_port}"
        self.urls = {step.participant: f"{url}/{step.participant}" for step in executor.steps}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def begin(self, behaviour: Behaviour) -> None:
        """Forget everything, and behave so from now on."""
        self._behaviour, self._books = behaviour, _Books()

    @property
    def ledger(self) -> list[dict[str, Any]]:
        """What came, in order, and what became of it; the entries are the shop's."""
        return self._books.ledger

    def answer(
        self, service: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Any] | None:
        """The status and JSON for a call; None when its answer is to be lost."""
        with self._lock:
            books, key = self._books, headers.get("Idempotency-Key", "")
            outcome, answer = self._settle(headers, key)
            books.ledger.append(
                {
                    "service": service,
                    "seq": len(books.ledger) + 1,
                    "at": self._now().isoformat(),
                    "key": key,
                    "saga_id": headers.get("Saga-Id"),
                    "run": headers.get("Saga-Run"),
                    "step": headers.get("Saga-Step"),
                    "kind": "compensation" if headers.get("Compensates") else "action",
                    "outcome": outcome,
                    "compensates": headers.get("Compensates"),
                    "status": answer[0],
                    "body_sha256": hashlib.sha256(body).hexdigest(),
                    "amount": self._amount(key, headers.get("Compensates"), body),
                }
            )
            if self._behaviour.lose_first_answers and key not in books.lost:
                books.lost.add(key)
                return None
            return answer

    def _settle(self, headers: Mapping[str, str], key: str) -> tuple[str, tuple[int, Any]]:
        books, action = self._books, headers.get("Compensates")
        step = self._steps[headers["Saga-Step"]]
        if key in books.barred:
            return "barred", (409, {"detail": "this action was compensated"})
        if key in books.answers:
            return "replayed", books.answers[key]
        if action:
            undone = action in books.answers and action not in books.barred
            books.barred.add(action)
            books.answers[key] = (200, {})
            return ("applied" if undone else "noop"), books.answers[key]
        if step.name == self._behaviour.refuse and headers["Saga-Run"] == "1":
            return "refused", (409, {"detail": "refused by the stand-in"})
        # The end of the key tells one saga's ids from another's.
        books.answers[key] = (200, sample(step.answer, f"{step.name}-{key[24:36]}"))
        return self._effect(step), books.answers[key]

    def _amount(self, key: str, action: str | None, body: bytes) -> str | None:
        """The money in question: as the body says, or as that of the action to take back."""
        amounts = self._books.amounts
        if key not in amounts:
            try:
                said = json.loads(body).get("amount")
            except (ValueError, AttributeError):
                said = None
            amounts[key] = amounts.get(action) if action else said and str(said)
        return amounts[key]

    def _effect(self, step: Step) -> str:
        """A step without compensation has, by its declaration, no effect to undo."""
        return "applied" if step.compensation or step.pivot else "checked"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    stand_in: StandIn


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def _call(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        service = self.path.split("/")[1]
        answer = self.server.stand_in.answer(service, dict(self.headers), body)
        if answer is None:
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        text = json.dumps(answer[1]).encode()
        self.send_response(answer[0])
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _call

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the ledger has every call."""
