"""How the console names what the domain knows: a text, an icon and a tone each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext, pgettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from sagas.admin.course import Result, WaitKind
from sagas.domain.state import CallKind, Operation, SagaStatus, StepStatus

MAX_JSON = 20_000
"""Characters of one JSON document that a page shows; the API has all of it."""


@dataclass(frozen=True, slots=True)
class Look:
    """A label that is told by its text and its icon; the tone only underlines them."""

    text: Promise | str
    icon: str
    tone: str = "plain"


IN_DOUBT = Look(_("in doubt"), "help", "warning")

STATUSES: Mapping[str, Look] = {
    SagaStatus.PENDING.value: Look(_("pending"), "hourglass_empty"),
    SagaStatus.IN_PROGRESS.value: Look(_("in progress"), "autorenew", "info"),
    SagaStatus.COMPLETED.value: Look(_("completed"), "check_circle", "success"),
    SagaStatus.FAILED.value: Look(_("failed"), "error", "danger"),
    SagaStatus.COMPENSATED.value: Look(_("compensated"), "undo", "primary"),
}
"""The statuses of sagas; those of steps have the same values."""

assert set(STATUSES) == set(StepStatus)

OPERATIONS: Mapping[Operation, Look] = {
    Operation.EXECUTE: Look(_("Execute"), "play_arrow", "primary"),
    Operation.COMPENSATE: Look(_("Compensate"), "undo", "danger"),
    Operation.RETRY: Look(_("Retry"), "replay", "primary"),
}

_ACTION, _COMPENSATION = CallKind.ACTION.value, CallKind.COMPENSATION.value

EVENTS: Mapping[tuple[str, str], Look] = {
    ("saga_created", ""): Look(_("created"), "add"),
    ("execute_requested", ""): Look(_("execute asked for"), "play_arrow", "primary"),
    ("retry_requested", ""): Look(_("retry asked for"), "replay", "primary"),
    ("compensate_requested", ""): Look(_("compensate asked for"), "undo", "primary"),
    ("compensation_triggered", ""): Look(_("turns round: compensating"), "undo", "warning"),
    ("claimed", ""): Look(_("a worker took the lease"), "back_hand"),
    ("worker_lost", ""): Look(_("its worker is gone"), "link_off"),
    ("handed_back", ""): Look(_("the worker stops and hands it back"), "front_hand"),
    ("parked", ""): Look(_("parked"), "local_parking", "warning"),
    ("attempt_started", _ACTION): Look(_("action started"), "arrow_forward", "info"),
    ("attempt_started", _COMPENSATION): Look(_("compensation started"), "arrow_back", "info"),
    ("attempt_succeeded", _ACTION): Look(_("action succeeded"), "check", "success"),
    ("attempt_succeeded", _COMPENSATION): Look(_("compensation succeeded"), "check", "success"),
    ("attempt_refused", _ACTION): Look(_("action refused"), "block", "danger"),
    ("attempt_refused", _COMPENSATION): Look(_("compensation refused"), "block", "danger"),
    ("attempt_failed", _ACTION): Look(_("action not answered"), "close", "danger"),
    ("attempt_failed", _COMPENSATION): Look(_("compensation not answered"), "close", "danger"),
    ("attempt_interrupted", _ACTION): Look(_("action interrupted"), "power_off", "warning"),
    ("attempt_interrupted", _COMPENSATION): Look(
        _("compensation interrupted"), "power_off", "warning"
    ),
    ("attempt_held", _ACTION): Look(_("action held back"), "pause", "warning"),
    ("attempt_held", _COMPENSATION): Look(_("compensation held back"), "pause", "warning"),
    ("attempt_broken", _ACTION): Look(_("action not built"), "bug_report", "danger"),
    ("attempt_broken", _COMPENSATION): Look(_("compensation not built"), "bug_report", "danger"),
    ("doubt_resolved", ""): Look(_("doubt resolved by hand"), "fact_check", "primary"),
    ("step_skipped", ""): Look(_("step skipped by hand"), "skip_next", "primary"),
    ("data_edited", ""): Look(_("data edited by hand"), "edit_note", "primary"),
    ("saga_completed", ""): Look(_("completed"), "check_circle", "success"),
    ("saga_compensated", ""): Look(_("compensated"), "undo", "success"),
    ("saga_failed", ""): Look(_("failed"), "error", "danger"),
}
"""The kinds of event, those of attempts for the action and for the compensation."""


RESULTS: Mapping[Result, Look] = {
    Result.RUNNING: Look(_("under way"), "autorenew", "info"),
    Result.SUCCEEDED: Look(_("succeeded"), "check", "success"),
    Result.REFUSED: Look(pgettext_lazy("attempt", "refused"), "block", "danger"),
    Result.FAILED: Look(_("not reached"), "close", "danger"),
    Result.IN_DOUBT: IN_DOUBT,
    Result.INTERRUPTED: Look(_("interrupted, in doubt"), "power_off", "warning"),
    Result.BROKEN: Look(_("not built"), "bug_report", "danger"),
}
"""What became of an attempt."""

WAITS: Mapping[WaitKind, Look] = {
    WaitKind.WORKER: Look(_("waits for a worker"), "hourglass_empty"),
    WaitKind.BACKOFF: Look(_("waits before the next attempt"), "schedule"),
    WaitKind.BREAKER: Look(_("held back, nothing sent"), "pause", "warning"),
    WaitKind.PARKED: Look(_("parked"), "local_parking", "warning"),
    WaitKind.LEASE: Look(_("waits for the lost worker's lease"), "link_off", "warning"),
    WaitKind.PERSON: Look(_("waits for a person"), "person"),
}
"""What a saga waits for."""


def event_look(kind: str, call: str) -> Look:
    """How an event is shown; one of a kind that a newer version recorded keeps its name."""
    return (
        EVENTS.get((kind, call)) or EVENTS.get((kind, "")) or Look(kind.replace("_", " "), "help")
    )


def status_look(status: str) -> Look:
    """How a status is shown; one that this version does not know keeps its name."""
    return STATUSES.get(status) or Look(status, "help", "warning")


def span(length: timedelta) -> str:
    """A length of time, to about two figures: 340 ms, 4.2 s, 3 min 5 s, 2 h 10 min, 4 d 3 h."""
    seconds = length.total_seconds()
    if seconds < 0:
        return f"−{span(-length)}"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{number_format(round(seconds, 1), 1)} s"
    whole, day = round(seconds), pgettext("unit of time", "d")
    for size, unit, small, small_unit in (
        (86_400, day, 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size:
            more = whole % size // small
            return f"{whole // size} {unit}" + (f" {more} {small_unit}" if more else "")
    return f"{whole} s"


def clock(at: datetime, now: datetime) -> str:
    """A time of day in UTC, with the date unless that is today's."""
    at, now = at.astimezone(UTC), now.astimezone(UTC)
    words = {"date": f"{at:%Y-%m-%d}", "time": f"{at:%H:%M:%S}"}
    return (
        f"{at:%H:%M:%S} UTC"
        if at.date() == now.date()
        else gettext("%(date)s %(time)s UTC") % words
    )


def grouped(number: int) -> str:
    """The number with its thousands set apart, as the language does."""
    return number_format(number, force_grouping=True)


def pretty(value: Any) -> str:
    """The value as indented JSON, cut when it is very long; not escaped: templates do that."""
    return cut(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def cut(text: str) -> str:
    """The text, or its beginning when it is very long."""
    return text if len(text) <= MAX_JSON else f"{text[:MAX_JSON]}\n…"
