"""Plain sentences: why a saga is where it is and what happens next, and what a button will do."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from sagas.admin.words import span
from sagas.domain.state import CallKind, Direction, SagaStatus
from sagas.models import Saga, SagaStep


def standing(saga: Saga, now: datetime) -> str:
    """Why the saga is where it is, and what happens next."""
    steps = list(saga.steps.all())
    match SagaStatus(saga.status):
        case SagaStatus.PENDING:
            return _("Pending: nothing was called yet; it starts when somebody asks to execute it.")
        case SagaStatus.COMPLETED:
            text = _("Completed: all %(count)d actions succeeded%(took)s; nothing follows.")
            return text % {"count": len(steps), "took": _took(saga)}
        case SagaStatus.COMPENSATED:
            text = _("Compensated%(why)s; no effect is left, and nothing follows by itself.")
            return text % {"why": f": {saga.reason}" if saga.reason else ""}
        case SagaStatus.FAILED:
            text = _("Failed: %(why)s — a person must decide: retry or compensate.")
            return text % {"why": saga.reason}
        case SagaStatus.IN_PROGRESS:
            return _in_progress(saga, steps, now)


def _in_progress(saga: Saga, steps: list[SagaStep], now: datetime) -> str:
    activity = _activity(saga, steps, now)
    if saga.direction == Direction.COMPENSATING.value:
        text = _("Compensating, because %(why)s; now %(activity)s.")
        return text % {"why": saga.reason, "activity": activity}
    if saga.cancel_requested:
        text = _("Going forward: %(activity)s; then it compensates, as somebody asked.")
        return text % {"activity": activity}
    return _("Going forward: %(activity)s.") % {"activity": activity}


def _activity(saga: Saga, steps: list[SagaStep], now: datetime) -> str:
    """What is being done about a saga in progress, or what it waits for."""
    due_at = saga.due_at or now
    words: dict[str, Any] = {
        "when": _("at %(time)s UTC") % {"time": f"{due_at:%H:%M:%S}"},
        "in": span(max(due_at - now, now - due_at)),
        "why": saga.waiting,
        "call": _next_call(saga, steps),
        "worker": saga.owner,
    }
    if saga.owner and due_at > now:
        return _("%(call)s is being called by worker %(worker)s") % words
    if saga.owner:
        text = _("the lease of worker %(worker)s ended %(in)s ago; another one takes %(call)s over")
        return text % words
    if due_at <= now:
        return _("%(call)s has been due for %(in)s and waits for a free worker") % words
    if saga.waiting:
        return _("%(call)s waits: %(why)s; looked at again %(when)s, in %(in)s") % words
    return _("%(call)s follows %(when)s, in %(in)s") % words


def _next_call(saga: Saga, steps: list[SagaStep]) -> str:
    """The call in flight or the next one, with its attempt and what went wrong before."""
    step = next((s for s in steps if s.calling), None)
    step = step or next((s for s in steps if s.name == saga.current_step), None)
    if step is None:
        return _("nothing")
    forward = step.calling != CallKind.COMPENSATION.value
    if not step.calling:
        forward = saga.direction == Direction.FORWARD.value
    made = step.attempts if forward else step.compensation_attempts
    attempt = made if step.calling else made + 1
    called = step.name if forward else step.compensation
    if attempt <= 1:
        return called
    text = _("attempt %(attempt)d of %(called)s (before: %(error)s)")
    return text % {"attempt": attempt, "called": called, "error": step.error or _("held back")}


def _took(saga: Saga) -> str:
    if saga.started_at is None or saga.ended_at is None:
        return ""
    return _(" in %(span)s") % {"span": span(saga.ended_at - saga.started_at)}
