"""What an outcome, or the loss of one, means for a saga."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TypedDict

from sagas.domain import attempts as at
from sagas.domain import events as ev
from sagas.domain import triggers as tr
from sagas.domain.outcome import Outcome, Verdict
from sagas.domain.rules import Decision
from sagas.domain.state import CallKind, Effect, Json, StepState

ASKED_FOR = "compensation was asked for"


def answered(
    d: Decision, step: StepState, call: CallKind, trigger: tr.Answer
) -> Iterator[ev.Event]:
    """Record the outcome of the call and what it means for the saga's direction."""
    outcome = trigger.outcome
    match outcome.verdict:
        case Verdict.SUCCEEDED:
            yield d.record(at.AttemptSucceeded(output=outcome.output, **_sent(step, call, outcome)))
            if d.state.cancel_requested:
                yield d.record(ev.CompensationTriggered(reason=d.state.reason or ASKED_FOR))
        case Verdict.REFUSED:
            yield d.record(at.AttemptRefused(error=outcome.error, **_sent(step, call, outcome)))
            yield from _give_up(d, step.name, call, "was refused")
        case Verdict.NOT_APPLIED | Verdict.IN_DOUBT:
            yield from _lost(d, step, call, trigger)
        case Verdict.NOT_SENT:
            yield from _held(d, step, call, trigger)
        case Verdict.BROKEN:
            yield from broken(d, step.name, call, step.attempts_of(call), outcome.error)


def broken(d: Decision, name: str, call: CallKind, attempt: int, error: str) -> Iterator[ev.Event]:
    """The step's own code failed and nothing was sent: a person has to look at it."""
    yield d.record(at.AttemptBroken(step=name, call=call, attempt=attempt, error=error))
    if d.state.cancel_requested:
        yield d.record(ev.CompensationTriggered(reason=d.state.reason or ASKED_FOR))
    else:
        yield d.record(ev.SagaFailed(reason=f"{_called(d, name, call)}: {error}"))


def _lost(d: Decision, step: StepState, call: CallKind, trigger: tr.Answer) -> Iterator[ev.Event]:
    """An attempt without a usable answer: wait and try again, or give the step up."""
    outcome, attempt = trigger.outcome, step.attempts_of(call)
    in_doubt = outcome.verdict is Verdict.IN_DOUBT
    policy = d.definition.step(step.name).retry
    wait = policy.wait_after(attempt, spread=trigger.spread, retry_after=outcome.retry_after)
    why = _why_stop(d, step, attempt, in_doubt)
    pivot_in_doubt = in_doubt and step.name == d.definition.pivot
    retry_at = d.now + wait if pivot_in_doubt else d.wake_at(wait)
    yield d.record(
        at.AttemptFailed(
            error=outcome.error,
            in_doubt=in_doubt,
            retry_at=None if why else retry_at,
            **_sent(step, call, outcome),
        )
    )
    if why:
        yield from _give_up(d, step.name, call, why)


def _why_stop(d: Decision, step: StepState, attempt: int, in_doubt: bool) -> str:
    """Why a lost attempt of this step is not followed by another; empty when it is."""
    if attempt > d.definition.step(step.name).retry.max_retries:
        return f"failed {attempt} times"
    if d.state.cancel_requested:
        return "failed"
    pivot_in_doubt = in_doubt and step.name == d.definition.pivot
    if d.must_turn and not pivot_in_doubt:
        return "failed, and the deadline passed"
    return ""


def _held(d: Decision, step: StepState, call: CallKind, trigger: tr.Answer) -> Iterator[ev.Event]:
    """The breaker is open: wait for it, unless the saga is to turn round anyway."""
    turning = d.state.cancel_requested
    # Spread, so that not all who wait for the same breaker come back at once.
    spread = 1 + d.definition.step(step.name).retry.jitter * trigger.spread
    wait = (trigger.outcome.retry_after or timedelta(seconds=1)) * spread
    yield d.record(
        at.AttemptHeld(
            step=step.name,
            call=call,
            attempt=step.attempts_of(call),
            reason=trigger.outcome.error,
            due_at=d.now if turning else d.wake_at(wait),
        )
    )
    if turning:
        yield d.record(ev.CompensationTriggered(reason=d.state.reason or ASKED_FOR))


def interrupted(d: Decision, step: StepState, poisoned: bool) -> Iterator[ev.Event]:
    """A predecessor vanished with this call in flight: it is in doubt, and tried again at once."""
    call = step.calling
    assert call is not None
    attempt = step.attempts_of(call)
    why = _why_stop(d, step, attempt, in_doubt=True)
    yield d.record(
        at.AttemptInterrupted(
            step=step.name,
            call=call,
            attempt=attempt,
            error="the worker vanished before it recorded an answer",
            final=bool(why) or poisoned,
        )
    )
    if why and not poisoned:
        yield from _give_up(d, step.name, call, why)


def _give_up(d: Decision, name: str, call: CallKind, why: str) -> Iterator[ev.Event]:
    """A step will not succeed: turn round while that is allowed, else stop for a person."""
    step = d.state.step(name)
    forward = call is CallKind.ACTION
    detail = f"{_called(d, name, call)} {why}: {step.error}"
    past_pivot = d.definition.is_after_pivot(name) or (
        name == d.definition.pivot and step.effect is Effect.IN_DOUBT
    )
    if forward and d.state.cancel_requested:
        yield d.record(ev.CompensationTriggered(reason=d.state.reason or ASKED_FOR))
    elif forward and not past_pivot:
        yield d.record(ev.CompensationTriggered(reason=detail))
    else:
        yield d.record(ev.SagaFailed(reason=detail))


def _called(d: Decision, name: str, call: CallKind) -> str:
    return name if call is CallKind.ACTION else d.definition.step(name).compensation


class _Sent(TypedDict):
    step: str
    call: CallKind
    attempt: int
    answer: Json | None
    duration_ms: float


def _sent(step: StepState, call: CallKind, outcome: Outcome) -> _Sent:
    """Which call, and what to keep of its answer."""
    return _Sent(
        step=step.name,
        call=call,
        attempt=step.attempts_of(call),
        answer=outcome.answer,
        duration_ms=round(outcome.duration.total_seconds() * 1000, 1),
    )
