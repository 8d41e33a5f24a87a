"""This process's engine, and what follows each of its commits."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from uuid import UUID, uuid4

from django.conf import settings
from django_redis import get_redis_connection
from structlog.contextvars import get_contextvars

from executors.registry import registry
from executors.secrets import Redactor, redactor
from sagas.domain import attempts as at
from sagas.domain import events as ev
from sagas.domain import trace
from sagas.domain.state import ENDED, CallKind
from sagas.engine.completion import Completion, LocalCompletion, RedisCompletion
from sagas.engine.engine import Engine
from sagas.engine.ports import Observer, Recorded

logger = logging.getLogger("sagas")

_SILENCE = 2.0
"""Seconds without messages after one failed: a broker that hangs would hold up every client."""

_wake: Callable[[UUID], None] | None = None
_silent_until = 0.0


@cache
def engine() -> Engine:
    """The engine of this process; `cache_clear` after a change of settings."""
    made = Engine(
        registry,
        owner=f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}",
        lease=timedelta(seconds=settings.SAGA_LEASE),
        park=timedelta(seconds=settings.SAGA_PARK),
    )
    made.observers += [_log, _announce, _wake_up, *_observers]
    return made


_observers: list[Observer] = []


def observe(observer: Observer) -> None:
    """Have the observer told of every transition of this process, after its commit."""
    _observers.append(observer)
    engine.cache_clear()


def wake_with(wake: Callable[[UUID], None]) -> None:
    """Say how a worker is told that a saga is due now."""
    global _wake
    _wake = wake


@cache
def completion() -> Completion:
    """The channel on which ends of sagas are announced."""
    if settings.SAGA_SHARED_STATE:
        return RedisCompletion(lambda: get_redis_connection("default"))
    return LocalCompletion()


def _wake_up(recorded: Recorded) -> None:
    global _silent_until
    after = recorded.after
    due_now = after.due_at is not None and after.due_at <= recorded.at
    if _wake is None or after.owner or not due_now or time.monotonic() < _silent_until:
        return
    try:
        _wake(recorded.saga_id)
    except Exception as error:
        _silent_until = time.monotonic() + _SILENCE
        logger.warning(
            "no message for saga %s, the sweeper will find it: %s", recorded.saga_id, error
        )


def _announce(recorded: Recorded) -> None:
    if recorded.after.status in ENDED and recorded.before.status is not recorded.after.status:
        completion().announce(recorded.saga_id)


def _log(recorded: Recorded) -> None:
    about: dict[str, object] = {}
    for event in recorded.events:
        level, message = _line(event)
        if not logger.isEnabledFor(level):
            continue
        about = about or _about(recorded)
        fields = dict(about)
        if isinstance(event, at.AttemptEvent):
            fields |= {"step": event.step, "call": event.call.value, "attempt": event.attempt}
        if isinstance(event, at.AttemptAnswered):
            fields["duration_ms"] = event.duration_ms
        error = getattr(event, "error", "") or getattr(event, "reason", "")
        if error:
            fields["error"] = _hiding(recorded).text(error)
        logger.log(level, message, extra=fields)


def _about(recorded: Recorded) -> dict[str, object]:
    """What each line about the saga has; a client's trace too where it is not the saga's."""
    trace_id = trace.of_saga(recorded.saga_id, recorded.trace).trace_id
    fields: dict[str, object] = {
        "saga_id": str(recorded.saga_id),
        "saga_type": recorded.saga_type,
        "trace_id": trace_id,
    }
    client = get_contextvars().get("trace_id", trace_id)
    return fields if client == trace_id else {**fields, "client_trace_id": client}


def _hiding(recorded: Recorded) -> Redactor:
    """Hides what was written before its fields were declared secret, too."""
    steps = recorded.after.steps
    sent = (each for step in steps for each in (step.request, step.compensation_request))
    hide = redactor(recorded.saga_type)
    return hide if not hide.learns else hide.knowing(*(step.output for step in steps), *sent)


_LINES: dict[type[ev.Event], tuple[int, str]] = {
    ev.SagaCreated: (logging.INFO, "saga created"),
    ev.ExecuteRequested: (logging.INFO, "saga started"),
    ev.RetryRequested: (logging.INFO, "saga started"),
    ev.CompensationTriggered: (logging.WARNING, "compensation triggered"),
    ev.SagaCompleted: (logging.INFO, "saga completed"),
    ev.SagaCompensated: (logging.INFO, "saga compensated"),
    ev.SagaFailed: (logging.ERROR, "saga failed"),
    at.AttemptSucceeded: (logging.INFO, "step succeeded"),
    at.AttemptRefused: (logging.ERROR, "step failed"),
    at.AttemptFailed: (logging.ERROR, "step failed"),
    at.AttemptBroken: (logging.ERROR, "step failed"),
    at.AttemptInterrupted: (logging.WARNING, "step interrupted"),
    ev.WorkerLost: (logging.WARNING, "worker lost"),
    at.AttemptHeld: (logging.WARNING, "saga waits"),
    ev.Parked: (logging.WARNING, "saga waits"),
}


def _line(event: ev.Event) -> tuple[int, str]:
    level, message = _LINES.get(type(event), (logging.DEBUG, type(event).__name__))
    if isinstance(event, at.AttemptSucceeded) and event.call is CallKind.COMPENSATION:
        message = "step compensated"
    return level, message
