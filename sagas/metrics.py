"""Prometheus metrics, counted after each commit; exact across processes in multiprocess mode."""

from __future__ import annotations

from prometheus_client import Counter, Histogram, disable_created_metrics

from sagas import runtime
from sagas.domain import events as ev
from sagas.domain.state import ENDED, Direction, SagaStatus
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


def connect() -> None:
    """Count every transition of this process."""
    runtime.observe(count)


def count(recorded: Recorded) -> None:
    """Count what a transition changed."""
    _count_saga(recorded)
    _count_steps(recorded)
    if any(isinstance(event, ev.CompensationTriggered) for event in recorded.events):
        COMPENSATIONS.labels(recorded.saga_type).inc()
    if _failed(recorded):
        FAILURES.labels(recorded.saga_type).inc()


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
        SAGAS.labels(recorded.saga_type, SagaStatus.PENDING.value).inc()
    status = recorded.after.status
    if recorded.before.status is status:
        return
    SAGAS.labels(recorded.saga_type, status.value).inc()
    if status in ENDED and recorded.started_at is not None:
        seconds = (recorded.at - recorded.started_at).total_seconds()
        DURATION.labels(recorded.saga_type).observe(max(seconds, 0.0))


def _count_steps(recorded: Recorded) -> None:
    before = {step.name: step.status for step in recorded.before.steps}
    for step in recorded.after.steps:
        if step.name in before and before[step.name] is not step.status:
            STEPS.labels(step.name, step.status.value).inc()
