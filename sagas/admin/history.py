"""The history of a saga, a page of it at a time: its events as lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from sagas import selectors
from sagas.admin.course import moment, read
from sagas.admin.shown import Shown
from sagas.admin.words import IN_DOUBT, Look, clock, event_look, span
from sagas.domain.state import CallKind
from sagas.models import Saga, SagaEvent

PAGE = 200
"""Events on one page; the API has all of them."""

MACHINE = ("claimed", "handed_back")
"""Kinds of event that tell of the lease alone; they are left out unless asked for."""

_STARTS = ("execute_requested", "retry_requested")
_MOST_STARTS = 200
_TOLD = {"step", "call", "attempt", "duration_ms", "error", "reason", "in_doubt", "retry_at"}
_LEASE = {"owner", "until"}
_DOCUMENTS = {"request": _("Request"), "answer": _("Answer"), "output": _("Output")}
FOLLOWING = {"saga_created", "compensation_triggered", "saga_compensated"}
"""Kinds that are recorded under the name of who asked, beside the event of the asking."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """When a run began."""

    run: int
    seq: int
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """JSON to be unfolded under a title."""

    key: str
    title: Promise
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A line of the history."""

    event: SagaEvent
    look: Look
    command: bool
    """Whether a person or a client asked for it."""

    date: str
    """Only where it is another than that of the line before."""

    time: str
    offset: str
    called: str
    attempt: int | None
    duration: str
    in_doubt: Look | None
    why: str
    error: str
    follows: str
    documents: list[Document]


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A part of the history, oldest first."""

    entries: list[Entry]
    earlier: int | None
    """Number before which the next earlier page ends; None if there is none."""


def starts(saga: Saga) -> list[Start]:
    """The beginnings of the saga's runs, of the latest ones if there are very many."""
    asked = selectors.saga_events(saga.id).filter(kind__in=_STARTS)
    rows = asked.reverse().values_list("seq", "at", "data")[:_MOST_STARTS][::-1]
    found: list[Start] = []
    for seq, at, data in rows:
        run = read(data, "run", int, 1)
        if not found or run > found[-1].run:
            found.append(Start(run=run, seq=seq, at=at))
    return found or [Start(run=1, seq=1, at=saga.created_at)]


def page(
    saga: Saga, begun: Sequence[Start], shown: Shown, now: datetime, *, before: int, machine: bool
) -> Page:
    """The latest events before that number; with those of the lease alone if `machine`."""
    events = selectors.saga_events(saga.id).filter(seq__lt=before)
    if not machine:
        events = events.exclude(kind__in=MACHINE)
    latest = list(events.reverse()[: PAGE + 1])
    more, found = latest[PAGE:], latest[:PAGE][::-1]
    return Page(
        entries=list(_entries(saga, begun, found, shown, now)),
        earlier=found[0].seq if more else None,
    )


def _entries(
    saga: Saga, begun: Sequence[Start], events: list[SagaEvent], shown: Shown, now: datetime
) -> Iterator[Entry]:
    """The events as lines; each one's offset is counted from the start of its run."""
    compensations = {step.name: step.compensation for step in saga.steps.all()}
    date = ""
    for event in events:
        start = next((s.at for s in reversed(begun) if s.seq <= event.seq), begun[0].at)
        today = f"{event.at:%Y-%m-%d}"
        yield _entry(event, today if today != date else "", start, compensations, shown, now)
        date = today


def _entry(
    event: SagaEvent,
    date: str,
    start: datetime,
    compensations: Mapping[str, str],
    shown: Shown,
    now: datetime,
) -> Entry:
    data = event.data if isinstance(event.data, dict) else {"data": event.data}
    call, took = read(data, "call", str, ""), read(data, "duration_ms", (int, float))
    compensating = call == CallKind.COMPENSATION.value
    retry_at = moment(data, "retry_at")
    return Entry(
        event=event,
        look=event_look(event.kind, call),
        command=_is_command(event),
        date=date,
        time=f"{event.at:%H:%M:%S}.{event.at.microsecond // 1000:03d}",
        offset=_offset(event.at, start),
        called=compensations.get(event.step, "") if compensating else event.step,
        attempt=read(data, "attempt", int),
        duration="" if took is None else f"{took:.0f} ms",
        in_doubt=IN_DOUBT if data.get("in_doubt") else None,
        why=shown.text(event.reason or read(data, "reason", str, ""), data),
        error=shown.text(read(data, "error", str, ""), data),
        follows=clock(retry_at, now) if retry_at else "",
        documents=list(_documents(event.seq, data, shown)),
    )


def _is_command(event: SagaEvent) -> bool:
    """Whether somebody asked for it; all that a user's name stands beside is, of any version."""
    asked = event.kind.endswith("_requested")
    own = event.actor.startswith("user:") and event.kind not in FOLLOWING
    return asked or own


def _offset(at: datetime, start: datetime) -> str:
    return f"+{span(at - start)}" if at >= start else span(at - start)


def _documents(seq: int, data: Mapping[str, Any], shown: Shown) -> Iterator[Document]:
    """What of the event's data is not told in its line: the bodies, and the rest together."""
    for name, title in _DOCUMENTS.items():
        if data.get(name) is not None:
            key = f"event-{seq}-{name}"
            yield Document(key=key, title=title, text=shown.json(data[name]))
    rest = {k: v for k, v in data.items() if k not in _TOLD | _LEASE | _DOCUMENTS.keys()}
    if rest:
        yield Document(key=f"event-{seq}-data", title=_("Data"), text=shown.json(rest))
