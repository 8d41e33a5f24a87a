"""What a transition ended, as spans of the saga's trace: attempts of calls, and runs.

A run is all that one operation started: from when it was asked for until the saga ended. Spans say
what happened and never with which data: neither requests, answers nor the texts of errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sagas import selectors
from sagas.domain import attempts as at
from sagas.domain import events as ev
from sagas.domain import trace
from sagas.domain.state import ENDED, CallKind, SagaStatus, idempotency_key
from sagas.engine.ports import Recorded

_TURNED = "compensation triggered"

Attributes = Mapping[str, str | int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """A part of a trace that has ended."""

    id: str
    parent: str
    """The span that it is part of; empty for the first of a trace."""

    name: str
    start: datetime
    end: datetime
    attributes: Attributes
    calls: bool = False
    """Whether it is a call to a participant."""

    failed: bool = False
    events: Mapping[str, Attributes] = field(default_factory=dict)
    """What happened at its end, by name."""


def spans_of(recorded: Recorded) -> Iterator[Span]:
    """The spans that end with the transition."""
    run = trace.run_span(recorded.saga_id, _started(recorded))
    turned = any(isinstance(event, ev.CompensationTriggered) for event in recorded.events)
    for event in recorded.events:
        if isinstance(event, at.AttemptAnswered | at.AttemptInterrupted):
            span = _attempt(recorded, run, event)
            if turned:
                span = replace(span, events={**span.events, _TURNED: {}})
                turned = False
            yield span
    if turned:  # by an operation or a deadline, and by no answer
        yield Span(
            id=trace.event_span(recorded.saga_id, recorded.after.seq),
            parent=run,
            name=_TURNED,
            start=recorded.at,
            end=recorded.at,
            attributes=_about(recorded),
        )
    if recorded.after.status in ENDED and recorded.before.status is not recorded.after.status:
        yield _run(recorded, run)


def _started(recorded: Recorded) -> datetime:
    """When the operation was asked for that this transition is a consequence of."""
    going = recorded.before.status is SagaStatus.IN_PROGRESS
    return recorded.started_at if going and recorded.started_at else recorded.at


def _run(recorded: Recorded, run: str) -> Span:
    status = recorded.after.status
    return Span(
        id=run,
        parent=trace.of_saga(recorded.saga_id, recorded.trace).parent,
        name=recorded.saga_type,
        start=_started(recorded),
        end=recorded.at,
        attributes={**_about(recorded), "saga.status": status.value},
        failed=status is SagaStatus.FAILED,
    )


def _attempt(
    recorded: Recorded, run: str, event: at.AttemptAnswered | at.AttemptInterrupted
) -> Span:
    step, start, epoch = recorded.before.step(event.step), recorded.at, recorded.before.epoch
    if isinstance(event, at.AttemptAnswered):
        start -= timedelta(milliseconds=event.duration_ms)
    elif began := selectors.latest_start(recorded.saga_id, recorded.before.seq):
        start, epoch = began.at, began.epoch  # another process's
    key = idempotency_key(
        recorded.saga_id, recorded.before.run, event.step, event.call, step.revision
    )
    outcome, events = _outcome(event)
    compensates = event.call is CallKind.COMPENSATION
    return Span(
        id=trace.attempt_span(key, event.attempt, epoch),
        parent=run,
        name=f"{event.step} {event.call.value}" if compensates else event.step,
        start=start,
        end=recorded.at,
        attributes={
            **_about(recorded),
            "saga.step": event.step,
            "saga.call": event.call.value,
            "saga.attempt": event.attempt,
            "saga.outcome": outcome,
            **_http(event, step.request_of(event.call) or {}),
        },
        calls=True,
        failed=outcome != "succeeded",
        events=events,
    )


def _outcome(
    event: at.AttemptAnswered | at.AttemptInterrupted,
) -> tuple[str, dict[str, Attributes]]:
    """In a word, and what followed from it."""
    events: dict[str, Attributes] = {}
    match event:
        case at.AttemptSucceeded():
            return "succeeded", events
        case at.AttemptRefused():
            return "refused", events
        case at.AttemptFailed():
            if event.in_doubt:
                events["in doubt"] = {}
            if event.retry_at is not None:
                events["retry"] = {"saga.retry_at": event.retry_at.isoformat()}
            return "in_doubt" if event.in_doubt else "not_applied", events
    # The worker vanished.
    events["in doubt"] = {}
    if isinstance(event, at.AttemptInterrupted) and not event.final:
        events["retry"] = {}
    return "interrupted", events


def _about(recorded: Recorded) -> dict[str, str | int]:
    return {
        "saga.id": str(recorded.saga_id),
        "saga.type": recorded.saga_type,
        "saga.run": recorded.after.run,
    }


def _http(
    event: at.AttemptAnswered | at.AttemptInterrupted, request: Mapping[str, str]
) -> dict[str, str | int]:
    """Of the request only to whom it went and how: its path may hold data."""
    answer = getattr(event, "answer", None) or {}
    found = {
        "saga.participant": request.get("participant"),
        "http.request.method": request.get("method"),
        "http.response.status_code": answer.get("status"),
    }
    return {name: value for name, value in found.items() if value is not None}
