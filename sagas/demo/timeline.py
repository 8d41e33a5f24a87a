"""A saga's events as lines that a person can read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sagas.demo.client import Json

ENDED = {
    "saga_completed": "completed",
    "saga_compensated": "compensated",
    "saga_failed": "failed",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """What happened to the saga as a whole, or why nothing happens for a while."""

    at_ms: float
    text: str
    style: str = "dim"


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One attempt of an action or a compensation, and what came of it."""

    at_ms: float
    mark: str
    style: str
    name: str
    participant: str
    number: int
    outcome: str
    """In a word or two."""

    detail: str
    """What was said to that, or why there is no answer."""

    took_ms: float | None


_MARKS = {
    "attempt_succeeded": ("✓", "green"),
    "attempt_refused": ("✗", "red"),
    "attempt_failed": ("✗", "red"),
    "attempt_interrupted": ("?", "yellow"),
    "attempt_held": ("·", "yellow"),
    "attempt_broken": ("✗", "red"),
}
_NOTES = {
    "execute_requested": ("execute", "bold"),
    "retry_requested": ("retry, run {run}", "bold"),
    "compensate_requested": ("compensate", "bold"),
    "compensation_triggered": ("compensating: {reason}", "yellow"),
    "worker_lost": ("its worker is gone", "dim"),
    "handed_back": ("the worker stops and hands the saga back", "dim"),
    "parked": ("parked: {reason}", "yellow"),
}


class Timeline:
    """Turns one saga's events into lines, in order."""

    def __init__(self, saga: Json, after: int = 0) -> None:
        self.last = 0
        """Number of the last event that was read."""

        self.ended = ""
        """The status in which the saga has stopped; empty while it goes on."""

        self._after = after
        self._began: datetime | None = None
        self._compensations = {step["name"]: step["compensation"] for step in saga["steps"]}
        self._participants: dict[str, str] = {}

    def read(self, events: list[Json]) -> Iterator[Note | Attempt]:
        """The lines of the events that were not read before; those up to `after` are silent."""
        for event in events:
            if event["seq"] <= self.last:
                continue
            self.last = event["seq"]
            self.ended = ENDED.get(event["kind"], "")
            self._learn(event)
            if event["seq"] > self._after and event["kind"] != "saga_created":
                yield from self._lines(event)

    def in_flight(self, events: list[Json]) -> str:
        """The call that waits for its answer, if one does."""
        last = events[-1] if events else {"kind": ""}
        return self._name(last) if last["kind"] == "attempt_started" else ""

    def _learn(self, event: Json) -> None:
        request = event["data"].get("request")
        if request:
            self._participants[self._name(event)] = request["participant"]

    def _lines(self, event: Json) -> Iterator[Note | Attempt]:
        at = datetime.fromisoformat(event["at"])
        self._began = self._began or at
        at_ms = (at - self._began).total_seconds() * 1000
        kind, data = event["kind"], event["data"]
        if kind in _MARKS:
            yield self._attempt(event, at_ms)
            until = data.get("retry_at") or data.get("due_at")
            if until:
                yield Note(at_ms=at_ms, text=_wait(kind, at, datetime.fromisoformat(until)))
        elif kind in _NOTES:
            text, style = _NOTES[kind]
            asked = f" ({event['reason']})" if event["reason"] and style == "bold" else ""
            yield Note(at_ms=at_ms, text=text.format(**data) + asked, style=style)
        elif kind in ENDED:
            good = kind != "saga_failed"
            why = "" if good else f": {data['reason']}"
            style = "green" if good else "red"
            yield Note(at_ms=at_ms, text=ENDED[kind] + why, style=style)

    def _attempt(self, event: Json, at_ms: float) -> Attempt:
        data = event["data"]
        name = self._name(event)
        mark, style = _MARKS[event["kind"]]
        if data.get("in_doubt"):
            mark, style = "?", "yellow"
        participant = self._participants.get(name, "")
        return Attempt(
            at_ms=at_ms,
            mark=mark,
            style=style,
            name=name,
            participant=participant,
            number=data["attempt"],
            outcome=_outcome(event),
            detail=_detail(data, participant),
            took_ms=data.get("duration_ms"),
        )

    def _name(self, event: Json) -> str:
        step: str = event["data"].get("step", "")
        return step if event["data"].get("call") == "action" else self._compensations.get(step, "")


def _outcome(event: Json) -> str:
    status = (event["data"].get("answer") or {}).get("status")
    words = [str(status)] if status else []
    if event["data"].get("in_doubt") or event["kind"] == "attempt_interrupted":
        words.append("in doubt")
    elif event["kind"] == "attempt_held":
        words.append("not sent")
    elif event["kind"] in ("attempt_failed", "attempt_broken"):
        words.append("failed")
    return ", ".join(words)


def _detail(data: Json, participant: str) -> str:
    answer = data.get("answer") or {}
    if answer.get("status"):
        return _said(answer.get("body", ""))
    text = data.get("error") or data.get("reason") or ""
    return text.removeprefix(participant).strip()


def _said(body: str) -> str:
    """The reason that a problem document gives."""
    try:
        document = json.loads(body)
    except ValueError:
        return ""
    detail = document.get("detail") if isinstance(document, dict) else None
    return detail if isinstance(detail, str) else ""


def _wait(kind: str, at: datetime, until: datetime) -> str:
    wait = f"{max((until - at).total_seconds() * 1000, 0):.0f} ms"
    if kind == "attempt_held":
        return f"waits {wait}; nothing was sent, and no attempt is used up"
    return f"waits {wait}, then sends the same call again under the same key"
