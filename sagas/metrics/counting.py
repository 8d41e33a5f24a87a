"""Counts what happened, after each commit; exact across processes in multiprocess mode."""

from __future__ import annotations

from functools import cache
from typing import Any

from prometheus_client import Counter, Histogram, disable_created_metrics

from executors.registry import registry
from sagas import runtime
from sagas.domain import attempts as at
from sagas.domain import events as ev
from sagas.domain.definition import Definition
from sagas.domain.state import ENDED, CallKind, Direction, SagaStatus, StepStatus
from sagas.engine.ports import Recorded

disable_created_metrics()  # type: ignore[no-untyped-call]

SAGAS = Counter("saga_total", "Sagas that reached a status.", ["type", "status"])
DURATION = Histogram(
    "saga_duration_seconds",
    "From the operation that last started the saga to its end.",
    ["type"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600),
)
STEPS = Counter("saga_steps_total", "Steps that reached a status.", ["type", "status"])
FAILURES = Counter(
    "saga_failures_total", "Runs that did not complete, other than by request.", ["type"]
)
COMPENSATIONS = Counter("saga_compensations_total", "Compensations triggered.", ["type"])
CALLS = Histogram(
    "saga_call_duration_seconds",
    "How long the calls of a step's action or compensation took, of those with an answer.",
    ["type", "step", "call", "outcome"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
ATTEMPTS = Counter(
    "saga_attempts_total",
    "Attempts of a step's action or compensation, by what became of them.",
    ["type", "step", "call", "outcome"],
)
RETRIES = Counter(
    "saga_retries_total",
    "Attempts after the first of a call, but for those that the breaker held back.",
    ["type", "step", "call"],
)

_OUTCOMES = ("succeeded", "refused", "not_applied", "in_doubt", "lost", "held", "broken")
"""Lost: the worker vanished. Held: a breaker was open, nothing was sent. Broken: in own code."""


def connect() -> None:
    """Count every transition of this process."""
    runtime.observe(count)


@cache
def begin() -> None:
    """Have this process's counters there at zero: no increase shows of one that appears.

    Only who is scraped does it, and no command at a shell, as it may need the metrics' folder.
    """
    for executor in registry.all():
        _begin(executor.definition)


def _begin(definition: Definition) -> None:
    for status in SagaStatus:
        SAGAS.labels(definition.type, status.value)
    DURATION.labels(definition.type)
    FAILURES.labels(definition.type)
    COMPENSATIONS.labels(definition.type)
    for step in definition.steps:
        for each in StepStatus:
            STEPS.labels(step.name, each.value)
        for call in CallKind:
            if call is CallKind.COMPENSATION and not step.compensation:
                continue
            RETRIES.labels(definition.type, step.name, call.value)
            for outcome in _OUTCOMES:
                ATTEMPTS.labels(definition.type, step.name, call.value, outcome)


@cache
def _of(metric: Any, *labels: str) -> Any:
    """The one of those labels; there are few, as all are of the code."""
    return metric.labels(*labels)


def count(recorded: Recorded) -> None:
    """Count what a transition changed."""
    _count_saga(recorded)
    _count_steps(recorded)
    for event in recorded.events:
        if isinstance(event, at.AttemptEvent):
            _count_attempt(recorded.saga_type, event)
    if any(isinstance(event, ev.CompensationTriggered) for event in recorded.events):
        _of(COMPENSATIONS, recorded.saga_type).inc()
    if _failed(recorded):
        _of(FAILURES, recorded.saga_type).inc()


def _failed(recorded: Recorded) -> bool:
    """Whether a run left its way forward without having been asked to: once a run at most."""
    before, after = recorded.before, recorded.after
    forward = before.status is SagaStatus.IN_PROGRESS and before.direction is Direction.FORWARD
    left = after.direction is Direction.COMPENSATING or after.status is SagaStatus.FAILED
    asked = before.cancel_requested or any(
        isinstance(event, ev.CompensateRequested) for event in recorded.events
    )
    return forward and left and not asked


def _count_saga(recorded: Recorded) -> None:
    created = recorded.before.seq == 0
    if created:
        _of(SAGAS, recorded.saga_type, SagaStatus.PENDING.value).inc()
    status = recorded.after.status
    if recorded.before.status is status:
        return
    _of(SAGAS, recorded.saga_type, status.value).inc()
    if status in ENDED and recorded.started_at is not None:
        seconds = (recorded.at - recorded.started_at).total_seconds()
        _of(DURATION, recorded.saga_type).observe(max(seconds, 0.0))


def _count_steps(recorded: Recorded) -> None:
    for before, after in zip(recorded.before.steps, recorded.after.steps, strict=False):
        if before.status is not after.status:  # there are none before the saga is created
            _of(STEPS, after.name, after.status.value).inc()


def _count_attempt(saga_type: str, event: at.AttemptEvent) -> None:
    outcome = _outcome(event)
    if not outcome:
        return
    labels = (saga_type, event.step, event.call.value)
    _of(ATTEMPTS, *labels, outcome).inc()
    if event.attempt > 1 and outcome != "held":
        _of(RETRIES, *labels).inc()
    if isinstance(event, at.AttemptAnswered):
        _of(CALLS, *labels, outcome).observe(event.duration_ms / 1000)


def _outcome(event: at.AttemptEvent) -> str:
    """What became of the attempt; empty where it only began."""
    match event:
        case at.AttemptSucceeded():
            return "succeeded"
        case at.AttemptRefused():
            return "refused"
        case at.AttemptFailed():
            return "in_doubt" if event.in_doubt else "not_applied"
        case at.AttemptInterrupted():
            return "lost"
        case at.AttemptHeld():
            return "held"
        case at.AttemptBroken():
            return "broken"
        case _:
            return ""
