"""One client's requests, and the record of what each was told."""

from __future__ import annotations

import hashlib
import http.client
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

EXPECTED = {0, 200, 201, 202, 409, 422, 503}
"""Answers that a client is prepared for; 0 is none."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status 0 when nothing did."""

    status: int
    document: dict[str, Any]

    @property
    def final(self) -> bool:
        """Whether asking again would be of no use."""
        return 0 < self.status < 500


class Told:
    """Every request that was made, and its answer, as JSON lines."""

    def __init__(self, path: Path) -> None:
        self.answers: Counter[tuple[str, int]] = Counter()
        self.odd: list[str] = []
        """Answers that no client should ever get."""

        self.sagas: set[str] = set()
        """Those whose creation some client knows of."""

        self._file = path.open("w", encoding="utf-8")
        self._lock = threading.Lock()

    def note(
        self, op: str, key: str | None, body: bytes, answer: Answer, saga_id: str | None
    ) -> None:
        """Write one down."""
        line = {
            "op": op,
            "key": key,
            "body_sha256": hashlib.sha256(body).hexdigest(),
            "status": answer.status,
            "saga_id": saga_id,
        }
        with self._lock:
            self.answers[op, answer.status] += 1
            if op == "create" and saga_id is not None:
                self.sagas.add(saga_id)
            if answer.status not in EXPECTED:
                self.odd.append(f"{op} was answered {answer.status}: {answer.document}"[:500])
            self._file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        """All is written."""
        with self._lock:
            self._file.close()


class Client:
    """Speaks to the API, each request on a connection of its own."""

    def __init__(self, port: int, told: Told) -> None:
        self._port = port
        self._told = told

    def create(self, body: bytes, key: str, **how: Any) -> Answer:
        """One request to create a saga, with an Idempotency-Key; each third waits for its end."""
        headers = {"Idempotency-Key": key}
        if crc32(key.encode()) % 3 == 0:
            headers["Prefer"] = "wait=3"  # the API itself drives those that it has room for
        answer = self._send("POST", "/api/v1/sagas", body, headers, **how)
        saga_id = answer.document.get("id") if answer.status in (200, 201) else None
        self._told.note("create", key, body, answer, saga_id)
        return answer

    def operate(self, operation: str, saga_id: str, **how: Any) -> Answer:
        """One request for an operation."""
        body = json.dumps({"reason": f"a client's {operation}"}).encode()
        answer = self._send("POST", f"/api/v1/sagas/{saga_id}/{operation}", body, {}, **how)
        self._told.note(operation, None, body, answer, saga_id)
        return answer

    def look(self, saga_id: str) -> dict[str, Any]:
        """The saga; empty if it could not be had."""
        answer = self._send("GET", f"/api/v1/sagas/{saga_id}", b"", {})
        return answer.document if answer.status == 200 else {}

    def _send(
        self,
        method: str,
        path: str,
        body: bytes,
        headers: dict[str, str],
        *,
        timeout: float = 10.0,
        hang_up: float | None = None,
    ) -> Answer:
        """Send once; with `hang_up`, close the connection so long after that, unread."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=timeout)
        try:
            headers = {"Content-Type": "application/json", **headers}
            connection.request(method, path, body or None, headers)
            if hang_up is not None:
                time.sleep(hang_up)
                return Answer(0, {})
            response = connection.getresponse()
            text = response.read()
            return Answer(response.status, _document(text))
        except (OSError, http.client.HTTPException):
            return Answer(0, {})
        finally:
            connection.close()


def _document(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {"text": text[:300].decode(errors="replace")}
    return found if isinstance(found, dict) else {"value": found}
