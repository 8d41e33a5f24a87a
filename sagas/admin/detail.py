"""What the page of one saga shows: its facts, steps and timeline, ready for the templates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from sagas import selectors
from sagas.admin.sentences import standing
from sagas.admin.words import IN_DOUBT, Look, event_look, pretty, span, status_look
from sagas.domain import strictjson
from sagas.domain.state import CallKind, Effect
from sagas.models import Saga, SagaEvent, SagaStep

MAX_EVENTS = 500
"""Events that the page shows, the latest; the API has all of them."""

_STARTS = ("execute_requested", "retry_requested")
_TOLD = {"step", "call", "attempt", "duration_ms", "error", "reason", "in_doubt", "retry_at"}
_LEASE = {"owner", "until"}
_DOCUMENTS = {"request": _("Request"), "answer": _("Answer"), "output": _("Output")}


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """JSON to be unfolded under a title."""

    title: Promise
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StepRow:
    """A row of the table of steps."""

    step: SagaStep
    look: Look
    in_doubt: Look | None
    took: str
    output: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A line of the timeline."""

    event: SagaEvent
    look: Look
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


def page(saga: Saga, now: datetime) -> dict[str, Any]:
    """The template's variables; two queries have read the saga, one more reads its events."""
    steps = list(saga.steps.all())
    events = list(selectors.saga_events(saga.id).reverse()[:MAX_EVENTS])[::-1]
    return {
        "saga": saga,
        "look": status_look(saga.status),
        "in_doubt": IN_DOUBT if saga.in_doubt else None,
        "standing": standing(saga, now),
        "age": span(now - saga.created_at),
        "steps": [_step_row(step) for step in steps],
        "timeline": list(_entries(saga, steps, events)),
        "left_out": max(saga.seq - len(events), 0),
        "data": pretty(saga.data),
    }


def _step_row(step: SagaStep) -> StepRow:
    ended = step.started_at and step.ended_at
    return StepRow(
        step=step,
        look=status_look(step.status),
        in_doubt=IN_DOUBT if step.effect == Effect.IN_DOUBT.value else None,
        took=span(step.ended_at - step.started_at) if ended else "",  # type: ignore[operator]
        output="" if step.output is None else pretty(step.output),
    )


def _entries(saga: Saga, steps: Iterable[SagaStep], events: list[SagaEvent]) -> Iterator[Entry]:
    """The events as lines; each one's offset is counted from the start of its run."""
    compensations = {step.name: step.compensation for step in steps}
    start, run, date = saga.created_at, 1, ""
    for event in events:
        begun = _read(event.data, "run", int, None)
        if event.kind in _STARTS and (begun is None or begun > run):
            start, run = event.at, begun or run
        today = f"{event.at:%Y-%m-%d}"
        yield _entry(event, today if today != date else "", start, compensations)
        date = today


def _entry(event: SagaEvent, date: str, start: datetime, compensations: Mapping[str, str]) -> Entry:
    data = event.data if isinstance(event.data, dict) else {"data": event.data}
    call, took = _read(data, "call", str, ""), _read(data, "duration_ms", (int, float), None)
    compensating = call == CallKind.COMPENSATION.value
    return Entry(
        event=event,
        look=event_look(event.kind, call),
        date=date,
        time=f"{event.at:%H:%M:%S}.{event.at.microsecond // 1000:03d}",
        offset=_offset(event.at, start),
        called=compensations.get(event.step, "") if compensating else event.step,
        attempt=_read(data, "attempt", int, None),
        duration="" if took is None else f"{took:.0f} ms",
        in_doubt=IN_DOUBT if data.get("in_doubt") else None,
        why=event.reason or _read(data, "reason", str, ""),
        error=_read(data, "error", str, ""),
        follows=_clock(_read(data, "retry_at", str, "")),
        documents=_documents(data),
    )


def _read(data: Any, name: str, kind: type | tuple[type, ...], default: Any) -> Any:
    """The value, if it is there and of that kind: a page must show rows that nothing can use."""
    value = data.get(name) if isinstance(data, dict) else None
    return value if isinstance(value, kind) else default


def _offset(at: datetime, start: datetime) -> str:
    return f"+{span(at - start)}" if at >= start else span(at - start)


def _clock(moment: str) -> str:
    try:
        at = parse_datetime(moment)
    except ValueError:
        return moment
    return f"{at:%H:%M:%S}" if at else ""


def _documents(data: Mapping[str, Any]) -> list[Document]:
    """What of the event's data is not told in its line: the bodies, and the rest together."""
    shown = [
        Document(title=title, text=pretty(_unpacked(data[name])))
        for name, title in _DOCUMENTS.items()
        if data.get(name) is not None
    ]
    rest = {k: v for k, v in data.items() if k not in _TOLD | _LEASE | _DOCUMENTS.keys()}
    return [*shown, Document(title=_("Data"), text=pretty(rest))] if rest else shown


def _unpacked(document: Any) -> Any:
    """The document with its body, when that is JSON in a text, as JSON: easier to read."""
    if not isinstance(document, Mapping) or not isinstance(document.get("body"), str):
        return document
    try:
        return {**document, "body": strictjson.loads(document["body"].encode())}
    except ValueError:
        return document
