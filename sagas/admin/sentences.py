"""Plain sentences: why a saga is where it is and what happens next, and what a button will do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from executors.registry import registry
from executors.secrets import hiding
from sagas.admin.words import clock, span
from sagas.domain.decide import MAX_CRASHES
from sagas.domain.state import CallKind, Direction, Effect, SagaStatus
from sagas.models import Saga, SagaStep


def standing(saga: Saga, now: datetime) -> str:
    """Why the saga is where it is, what happens next, and when; without its secrets."""
    steps = list(saga.steps.all())
    sentences = [_state(saga, steps, now), *_remarks(saga, steps, now)]
    return hiding(saga).text(" ".join(sentences))


def _state(saga: Saga, steps: list[SagaStep], now: datetime) -> str:
    words = {
        "why": saga.reason,
        "when": _ago(saga.ended_at, now),
        "count": len(steps),
        "took": _took(saga),
    }
    match SagaStatus(saga.status):
        case SagaStatus.PENDING:
            return _("Pending: nothing was called yet; it starts when somebody asks to execute it.")
        case SagaStatus.COMPLETED:
            return _("Completed%(when)s: all %(count)d actions succeeded%(took)s.") % words
        case SagaStatus.COMPENSATED if saga.reason:
            return _("Compensated%(when)s: %(why)s.") % words
        case SagaStatus.COMPENSATED:
            return _("Compensated%(when)s.") % words
        case SagaStatus.FAILED:
            return _("Failed%(when)s: %(why)s. Nothing follows until a person decides.") % words
        case SagaStatus.IN_PROGRESS:
            return _in_progress(saga, steps, now)


def _remarks(saga: Saga, steps: list[SagaStep], now: datetime) -> Iterator[str]:
    """What else somebody must know who decides about the saga."""
    called = any(step.request is not None or step.attempts for step in steps)
    if saga.status == SagaStatus.COMPENSATED.value and not called:
        yield _("Nothing had been called.")
    doubtful = [step.name for step in steps if step.effect == Effect.IN_DOUBT.value]
    if doubtful:
        text = _("In doubt: %(steps)s may or may not have taken effect.")
        yield text % {"steps": ", ".join(doubtful)}
    applied = (step for step in steps if step.effect == Effect.APPLIED.value)
    stands = [step.name for step in applied if step.compensation]
    if saga.status == SagaStatus.FAILED.value and stands:
        yield _("Not taken back: %(steps)s.") % {"steps": ", ".join(stands)}
    unknown = registry.find(saga.type, saga.definition_version) is None
    if unknown and not saga.waiting:
        text = _("No code here knows version %(version)d of %(type)s, so nothing can be done here.")
        yield text % {"version": saga.definition_version, "type": saga.type}
    if saga.status != SagaStatus.IN_PROGRESS.value:
        return
    vanished = saga.crashes - (1 if saga.owner and (saga.due_at or now) > now else 0)
    if vanished > 1:
        text = _("Its worker vanished %(count)d times in a row; %(most)d times stop it.")
        yield text % {"count": vanished, "most": MAX_CRASHES}
    if saga.deadline and saga.direction == Direction.FORWARD.value:
        text = _("Its deadline is %(when)s.")
        yield text % {"when": _when(saga.deadline, now)}


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
        "when": _when(due_at, now),
        "since": _("since %(time)s, for %(span)s")
        % {"time": clock(due_at, now), "span": span(now - due_at)},
        "why": saga.waiting,
        "call": _next_call(saga, steps),
        "worker": saga.owner,
    }
    if saga.owner and due_at > now:
        if any(step.calling for step in steps):
            text = _("%(call)s is being called by worker %(worker)s, whose lease ends %(when)s")
        else:
            text = _("worker %(worker)s is about to call %(call)s; its lease ends %(when)s")
        return text % words
    if saga.owner:
        text = _(
            "worker %(worker)s is silent, its lease has been over %(since)s;"
            " another one takes %(call)s over"
        )
        return text % words
    if due_at <= now:
        return _("%(call)s has been due %(since)s, and waits for a free worker") % words
    if saga.waiting:
        return _("%(call)s waits: %(why)s; looked at again %(when)s") % words
    return _("%(call)s follows %(when)s") % words


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
    words = {
        "attempt": attempt,
        "called": called,
        "error": step.error or _("held back"),
        "most": _most_attempts(saga, step),
    }
    if not words["most"]:
        return _("attempt %(attempt)d of %(called)s (before: %(error)s)") % words
    text = _("attempt %(attempt)d, of at most %(most)d, of %(called)s (before: %(error)s)")
    return text % words


def _most_attempts(saga: Saga, step: SagaStep) -> int:
    """Attempts that the saga type allows a call; 0 if no code here knows."""
    executor = registry.find(saga.type, saga.definition_version)
    known = executor.definition.steps if executor else ()
    return next((each.retry.max_retries + 1 for each in known if each.name == step.name), 0)


def _when(at: datetime, now: datetime) -> str:
    """A time to come, or one that has just passed."""
    text = _("at %(time)s, in %(span)s") if at > now else _("at %(time)s, %(span)s ago")
    return text % {"time": clock(at, now), "span": span(max(at - now, now - at))}


def _ago(at: datetime | None, now: datetime) -> str:
    return "" if at is None else " " + _when(min(at, now), now)


def _took(saga: Saga) -> str:
    if saga.started_at is None or saga.ended_at is None:
        return ""
    return _(" in %(span)s") % {"span": span(saga.ended_at - saga.started_at)}
