"""The API's documents of sagas, made by hand: serializers say what is in them, for the OpenAPI
document, and take ten times as long. A test holds one to the other.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rest_framework.renderers import JSONRenderer

from executors.secrets import Redactor
from sagas import services
from sagas.api import shown
from sagas.domain.state import Effect, SagaStatus
from sagas.models import Saga, SagaEvent, SagaStep

_renderer = JSONRenderer()


def rendered(document: Any) -> bytes:
    """The document as it is sent."""
    body: bytes = _renderer.render(document)
    return body


def saga(of: Saga) -> dict[str, Any]:
    """A saga with its steps, without secret values."""
    steps = list(of.steps.all())
    document = _summary(of) | {
        "trace_id": of.trace_id,
        "data": of.data,
        "error": error(of, steps),
        "allowed_operations": services.allowed(of),
        "steps": [_step(step) for step in steps],
    }
    return shown.saga(document, of)


def error(of: Saga, steps: list[SagaStep]) -> str | None:
    """Why the saga did not complete; None if nothing went wrong."""
    if of.status == SagaStatus.COMPLETED.value:
        return None
    return of.reason or next((step.error for step in steps if step.error), None)


def event(of: SagaEvent, hide: Redactor) -> dict[str, Any]:
    """An event, without secret values."""
    document = {
        "seq": of.seq,
        "kind": of.kind,
        "step": of.step,
        "at": _time(of.at),
        "actor": of.actor,
        "reason": of.reason,
        "data": of.data,
    }
    return shown.event(document, hide)


def _summary(of: Saga) -> dict[str, Any]:
    return {
        "id": str(of.id),
        "type": of.type,
        "definition_version": of.definition_version,
        "status": of.status,
        "direction": of.direction,
        "run": of.run,
        "current_step": of.current_step,
        "in_doubt": of.in_doubt,
        "reason": of.reason,
        "waiting": of.waiting,
        "due_at": _time(of.due_at),
        "deadline": _time(of.deadline),
        "created_at": _time(of.created_at),
        "started_at": _time(of.started_at),
        "ended_at": _time(of.ended_at),
        "updated_at": _time(of.updated_at),
    }


def _step(of: SagaStep) -> dict[str, Any]:
    return {
        "position": of.position,
        "name": of.name,
        "compensation": of.compensation or None,
        "status": of.status,
        "in_doubt": of.effect == Effect.IN_DOUBT.value,
        "attempts": of.attempts,
        "compensation_attempts": of.compensation_attempts,
        "output": of.output,
        "error": of.error,
        "started_at": _time(of.started_at),
        "ended_at": _time(of.ended_at),
    }


def _time(at: datetime | None) -> str | None:
    """As RFC 3339 has it, in UTC."""
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")
