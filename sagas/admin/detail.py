"""The page of one saga: what its templates show, and how it is kept up to date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpResponse
from django.urls import reverse
from django.utils.http import quote_etag

from sagas import selectors
from sagas.admin import attempts, diagram, drawing, gantt, history
from sagas.admin.course import Course
from sagas.admin.documents import documents
from sagas.admin.reader import course
from sagas.admin.sentences import standing
from sagas.admin.shown import Shown
from sagas.admin.words import IN_DOUBT, span, status_look
from sagas.domain.state import ENDED, CallKind, SagaStatus
from sagas.models import Saga

MAX_EVENTS = 500
"""Events of a run that its chart and its attempts are made from, the latest."""

_MOST_RUNS = 20
_DIGITS = 9
_CLOSE = timedelta(minutes=2)
"""So near to what is due, lengths of time are told to the second or two."""

_ENDED = {status.value for status in ENDED}


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Which part of a saga somebody looks at."""

    run: int | None = None
    """None for the present one."""

    before: int | None = None
    """The history ends before this event; None for its latest part."""

    machine: bool = False
    """Whether the history tells of leases too."""

    @classmethod
    def of(cls, query: Mapping[str, Any]) -> Place:
        """The place that an address names; what makes no sense in it is left out."""
        return cls(
            run=_number(query.get("run")),
            before=_number(query.get("before")),
            machine=query.get("all") == "1",
        )

    def url(self, saga: Saga, fragment: str = "") -> str:
        """The address of the place."""
        query = {"run": self.run, "before": self.before, "all": 1 if self.machine else None}
        words = urlencode({name: value for name, value in query.items() if value is not None})
        page = reverse("admin:sagas_saga_change", args=[saga.pk])
        return page + (f"?{words}" if words else "") + (f"#{fragment}" if fragment else "")


def _number(text: Any) -> int | None:
    fits = isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= _DIGITS
    return int(text) or None if fits else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Tag:
    """By what a page is known to be up to date, and whether it can still change by itself."""

    etag: str
    ended: bool

    def put_on(self, response: HttpResponse) -> HttpResponse:
        """The response with the tag, for the script that keeps the page up to date."""
        response.headers["ETag"] = self.etag
        if self.ended:
            response.headers["X-Live-Stop"] = "1"
        return response


def tag(saga_id: str, now: datetime) -> Tag | None:
    """The saga's tag now, by one query; None if there is no such saga."""
    try:
        rows = Saga.objects.filter(pk=UUID(saga_id)).values_list("seq", "status", "due_at")
    except ValueError:
        return None
    for seq, status, due_at in rows:
        close = due_at is not None and abs(due_at - now) < _CLOSE
        moving = status == SagaStatus.IN_PROGRESS.value
        bucket = int(now.timestamp()) // (2 if close else 10 if moving else 60)
        overdue = due_at is not None and due_at <= now
        etag = quote_etag(f"{seq}-{bucket}-{overdue:d}")
        return Tag(etag=etag, ended=status in _ENDED)
    return None


def page(saga: Saga, now: datetime, place: Place) -> dict[str, Any]:
    """The templates' variables; two queries have read the saga, three more read its events."""
    shown = Shown(saga)
    begun = history.starts(saga)
    run = place.run if place.run in {each.run for each in begun} else saga.run
    assert run is not None
    made, left_out = _course(saga, begun, run, now)
    calls = list(attempts.calls(saga, run, made, shown))
    present = run == saga.run
    called = {(each.step, each.call) for each in made.attempts} if present else set()
    before = place.before or saga.seq + 1
    told = history.page(saga, begun, shown, now, before=before, machine=place.machine)
    return {
        "saga": saga,
        "look": status_look(saga.status),
        "in_doubt": IN_DOUBT if saga.in_doubt else None,
        "standing": standing(saga, now),
        "age": span(now - saga.created_at),
        "going": saga.status not in _ENDED,
        "live_url": place.url(saga),
        "cards": list(diagram.cards(saga, shown, called)),
        "run": run,
        "runs": _runs(saga, begun, place, run),
        "drawing": _drawing(saga, made, calls, now, shown),
        "calls": calls,
        "left_out": left_out,
        "history": told,
        "place": place,
        "earlier_url": replace(place, before=told.earlier).url(saga, "history"),
        "latest_url": replace(place, before=None).url(saga, "history"),
        "machine_url": replace(place, machine=not place.machine).url(saga, "history"),
        "documents": list(documents(saga, shown)),
    }


def _course(saga: Saga, begun: list[history.Start], run: int, now: datetime) -> tuple[Course, int]:
    """The run's course from its latest events; and how many of its events that leaves out."""
    first = next((each.seq for each in begun if each.run == run), 1)
    after = next((each.seq for each in begun if each.run > run), saga.seq + 1)
    events = selectors.saga_events(saga.id).filter(seq__gte=first, seq__lt=after)
    latest = list(events.reverse()[:MAX_EVENTS])[::-1]
    left_out = latest[0].seq - first if latest else 0
    until = now if run == saga.run else latest[-1].at if latest else now
    return course(latest, until), left_out


def _runs(
    saga: Saga, begun: list[history.Start], place: Place, shown_run: int
) -> list[dict[str, Any]]:
    """Links to the latest runs, if there is more than one."""
    if len(begun) < 2:
        return []
    return [
        {
            "number": each.run,
            "at": each.at,
            "here": each.run == shown_run,
            "url": replace(place, run=each.run if each.run != saga.run else None).url(saga, "run"),
        }
        for each in begun[-_MOST_RUNS:]
    ]


def _drawing(
    saga: Saga, made: Course, calls: list[attempts.Call], now: datetime, shown: Shown
) -> drawing.Drawing | None:
    steps = list(saga.steps.all())
    chart = gantt.chart(made, [step.name for step in steps], now)
    if chart is None:
        return None
    names = {(step.name, CallKind.ACTION.value): step.name for step in steps}
    names |= {(step.name, CallKind.COMPENSATION.value): step.compensation for step in steps}
    anchors = {
        (each.step, (CallKind.COMPENSATION if each.compensates else CallKind.ACTION).value): (
            each.anchor
        )
        for each in calls
    }
    return drawing.drawing(chart, names, anchors, now, shown)
