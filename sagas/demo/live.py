"""Shows a saga as it happens."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sagas.demo.client import Json, Orchestrator
from sagas.demo.screen import WIDTH, Screen, printable
from sagas.demo.timeline import Attempt, Note, Timeline

_POLL = 0.1
_PATIENCE = 90.0
"""Seconds until a saga that has not ended is given up: above every wait that can be due."""

_INDENT = 14
_OUTCOME = 29
"""Columns before a call's name, and for what came of it."""


@dataclass(frozen=True, slots=True)
class Story:
    """A saga at its end (or when it was given up), with its history."""

    saga: Json
    events: list[Json]
    took_ms: float


class Live:
    """Follows one saga after another."""

    def __init__(self, orchestrator: Orchestrator, screen: Screen) -> None:
        self._orchestrator = orchestrator
        self._screen = screen

    def follow(self, saga: Json, after: int = 0) -> Story:
        """Show each event past number `after` until the saga ends."""
        self._head()
        timeline = Timeline(saga, after)
        until, at_ms = time.monotonic() + _PATIENCE, 0.0
        while True:
            events = self._orchestrator.events(saga["id"])
            for line in timeline.read(events):
                at_ms = line.at_ms
                self._show(line)
            ended = timeline.ended and timeline.last > after
            if ended or time.monotonic() > until:
                return Story(self._orchestrator.saga(saga["id"]), events, at_ms)
            if calling := timeline.in_flight(events):
                self._screen.passing(f"{' ' * _INDENT}{calling} …")
            time.sleep(_POLL)

    def _head(self) -> None:
        names = f"{'call':<27}{'participant':<13}{'attempt':<9}{'outcome':<{_OUTCOME}}"
        row = f"{'at':>10}    {names}{'took':>8}"
        self._screen.line(self._screen.paint(row, "dim"))

    def _show(self, line: Note | Attempt) -> None:
        at = self._screen.paint(f"  {line.at_ms:>8.0f}", "dim")
        if isinstance(line, Note):
            self._note(at, line)
        else:
            self._attempt(at, line)

    def _note(self, at: str, note: Note) -> None:
        if note.style == "dim":
            self._screen.wrapped(note.text, _INDENT + 2, "dim")
            return
        words = printable(note.text)
        if len(words) <= WIDTH - _INDENT:
            self._screen.line(f"{at}    {self._screen.paint(words, note.style)}")
            return
        head, _, rest = words.partition(": ")
        self._screen.line(f"{at}    {self._screen.paint(head, note.style)}")
        self._screen.wrapped(rest, _INDENT + 2, note.style)

    def _attempt(self, at: str, line: Attempt) -> None:
        outcome, detail = printable(line.outcome), printable(line.detail)
        whole = f"{outcome}: {detail}" if outcome and detail else outcome or detail
        fits = len(whole) <= _OUTCOME
        took = "" if line.took_ms is None else f"{line.took_ms:.0f} ms"
        mark = self._screen.paint(line.mark, line.style)
        name = f"{line.name:<27}{line.participant:<13}{line.number:<9}"
        painted = self._screen.paint(f"{whole if fits else outcome:<{_OUTCOME}}", line.style)
        self._screen.line(f"{at}  {mark} {name}{painted}{took:>8}")
        if not fits:
            self._screen.wrapped(detail, _INDENT + 2, line.style)
