"""The diagram of a saga: its steps in order, with their compensations and how far each came."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from executors.registry import registry
from sagas.admin.course import Result, read
from sagas.admin.shown import Shown
from sagas.admin.words import IN_DOUBT, RESULTS, Look
from sagas.domain.state import CallKind, Direction, Effect, SagaStatus, StepStatus
from sagas.models import Saga, SagaStep

CALLING = Look(_("being called"), "autorenew", "info")
WAITING = Look(_("waits"), "schedule", "warning")
NEXT = Look(_("next"), "hourglass_empty")
NOT_CALLED = Look(_("not called"), "radio_button_unchecked")
NOT_NEEDED = Look(_("not needed"), "remove")
TO_COME = Look(_("to come"), "radio_button_unchecked")
FAILED = Look(_("failed"), "error", "danger")
DONE = RESULTS[Result.SUCCEEDED]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """An action or a compensation."""

    name: str
    look: Look
    attempts: int
    passed: bool
    """Whether the saga's path leads through it."""

    anchor: str
    """Where its attempts are on the page; empty if they are not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """A step."""

    position: int
    participant: str
    pivot: bool
    here: bool
    action: Cell
    compensation: Cell | None
    error: str


def anchor(position: int, call: str) -> str:
    """The id of the part of the page that has the attempts of this call."""
    return f"call-{position}-{call}"


def participants(saga: Saga) -> dict[str, str]:
    """Whom each step calls, as far as the code or what was sent tells."""
    executor = registry.find(saga.type, saga.definition_version)
    known = {step.name: step.participant for step in executor.steps} if executor else {}
    for step in saga.steps.all():
        sent = read(step.request, "participant", str, "")
        known[step.name] = sent or known.get(step.name, "")
    return known


def cards(saga: Saga, shown: Shown, called: Collection[tuple[str, str]]) -> Iterator[Card]:
    """The steps in order; `called` are the steps and kinds of call whose attempts are shown."""
    executor = registry.find(saga.type, saga.definition_version)
    pivot = executor.definition.pivot if executor else None
    whom = participants(saga)
    moving = saga.status in (SagaStatus.IN_PROGRESS.value, SagaStatus.FAILED.value)
    for step in saga.steps.all():
        yield Card(
            position=step.position,
            participant=whom[step.name],
            pivot=step.name == pivot,
            here=moving and step.name == saga.current_step,
            action=_cell(step, CallKind.ACTION, _action(saga, step), called),
            compensation=_cell(step, CallKind.COMPENSATION, _compensation(saga, step), called)
            if step.compensation
            else None,
            error=shown.text(step.error),
        )


def _cell(step: SagaStep, kind: CallKind, look: Look, called: Collection[tuple[str, str]]) -> Cell:
    action = kind is CallKind.ACTION
    attempts = step.attempts if action else step.compensation_attempts
    return Cell(
        name=step.name if action else step.compensation,
        look=look,
        attempts=attempts,
        passed=attempts > 0 or look is DONE,
        anchor=anchor(step.position, kind.value) if (step.name, kind.value) in called else "",
    )


def _action(saga: Saga, step: SagaStep) -> Look:
    if step.calling == CallKind.ACTION.value:
        return CALLING
    if step.effect == Effect.IN_DOUBT.value:
        return IN_DOUBT
    done = (StepStatus.COMPLETED.value, StepStatus.COMPENSATED.value)
    if step.status in done or step.effect == Effect.APPLIED.value:
        return DONE
    if step.status == StepStatus.FAILED.value:
        return FAILED
    forward = saga.direction == Direction.FORWARD.value
    if saga.status == SagaStatus.IN_PROGRESS.value and forward and step.name == saga.current_step:
        return WAITING if step.attempts or saga.waiting else NEXT
    return NOT_CALLED


def _compensation(saga: Saga, step: SagaStep) -> Look:
    if step.calling == CallKind.COMPENSATION.value:
        return CALLING
    if step.status == StepStatus.COMPENSATED.value:
        return DONE
    if saga.direction == Direction.FORWARD.value:
        return NOT_CALLED
    if step.effect == Effect.NONE.value:
        return NOT_NEEDED
    if step.name != saga.current_step:
        return TO_COME
    if saga.status == SagaStatus.FAILED.value:
        return FAILED
    return WAITING if step.compensation_attempts or saga.waiting else NEXT
