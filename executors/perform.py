"""Makes one attempt: ask the breaker, send the recorded request, read the answer."""

from __future__ import annotations

import logging
import time
from datetime import timedelta

from executors.answers import outcome_of
from executors.base import Request, SagaExecutor, Step
from executors.breaker import Culprit, Permit, held_by
from executors.participants import Participant, participants
from executors.secrets import Redactor, redactor_of
from executors.tracing import trace_headers
from executors.transport import NoAnswer, NotReached
from sagas.domain.outcome import Outcome, Verdict
from sagas.domain.state import CallKind, Json, idempotency_key
from sagas.engine.ports import Attempt, StepCall

logger = logging.getLogger(__name__)

_LONGEST_ERROR = 300


def prepare(executor: SagaExecutor, call: StepCall) -> Json:
    """What every attempt of the call will send.

    Raises what the step's method raises, or the like of it without the saga's secrets.
    """
    try:
        return build(executor, call)
    except (Exception, SystemExit):
        with hiding_of(executor, call).cleansing():
            raise


def build(executor: SagaExecutor, call: StepCall) -> Json:
    """The request of the step's method. Raises what that raises, secrets and all."""
    participant = participants().get(executor.step(call.step).participant)
    return executor.build(call).to(participant.name)


def hiding_of(executor: SagaExecutor, call: StepCall, *more: Json) -> Redactor:
    """What hides the secrets that the call may tell."""
    hide = redactor_of(executor)
    return hide.knowing(call.data, *call.outputs.values(), *more)


def perform(executor: SagaExecutor, attempt: Attempt) -> Outcome:
    """The outcome of one attempt; whatever goes wrong is part of it."""
    call, sent = attempt.call, attempt.request
    hide = hiding_of(executor, call, sent)
    try:
        step = executor.step(call.step)
        request = Request(sent["method"], sent["path"], sent["body"])
        participant = participants().get(sent["participant"])
    except Exception as error:
        # Nothing was sent. A retry would come to the same.
        shown = hide.error(error)
        logger.error("the call for step %s cannot be repeated", call.step, exc_info=shown)
        why = f"its call cannot be repeated: {type(shown).__name__}: {shown}"
        return Outcome(verdict=Verdict.BROKEN, error=why[:_LONGEST_ERROR])
    if attempt.expires <= time.monotonic():
        # This worker was held up; the participant is not to blame, nor the attempt.
        why = "the lease ends too soon for a call"
        return Outcome(verdict=Verdict.NOT_SENT, error=why)
    permit = participant.breaker.enter()
    if permit.wait is not None:
        why = held_by(participant.name)
        return Outcome(verdict=Verdict.NOT_SENT, error=why, retry_after=permit.wait)
    timeout = executor.definition.step(step.name).timeout.total_seconds()
    deadline = min(time.monotonic() + timeout, attempt.expires)
    outcome = _send(step, attempt, request, participant, deadline, hide)
    _report(participant, permit, attempt, outcome)
    return outcome


def _send(
    step: Step,
    attempt: Attempt,
    request: Request,
    participant: Participant,
    deadline: float,
    hide: Redactor,
) -> Outcome:
    call, started = attempt.call, time.monotonic()
    headers = call_headers(step, call) | trace_headers(attempt.trace, attempt.span)
    try:
        answer = participant.send(request, headers, deadline)
        duration = timedelta(seconds=time.monotonic() - started)
        return outcome_of(step, call.kind, participant.name, answer, hide, duration)
    except NotReached as why:
        verdict, error = Verdict.NOT_APPLIED, f"{participant.name} {why}"
    except NoAnswer as why:
        verdict, error = Verdict.IN_DOUBT, f"{participant.name} {why}"
    except Exception as wrong:
        logger.error("the call for step %s went wrong", call.step, exc_info=hide.error(wrong))
        kind = type(wrong).__name__
        verdict, error = Verdict.IN_DOUBT, f"the call to {participant.name} went wrong: {kind}"
    duration = timedelta(seconds=time.monotonic() - started)
    return Outcome(verdict=verdict, error=error, duration=duration)


def call_headers(step: Step, call: StepCall) -> dict[str, str]:
    """The headers that tell a participant which call of which saga this is."""
    compensates = call.kind is CallKind.COMPENSATION
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": key_of(call, call.kind),
        "Saga-Id": str(call.saga_id),
        "Saga-Run": str(call.run),
        "Saga-Step": step.compensation if compensates else step.name,
    }
    if compensates:
        # With it a participant finds, or bars, the action even if its answer was never seen.
        headers["Compensates"] = key_of(call, CallKind.ACTION)
    return headers


def key_of(call: StepCall, kind: CallKind) -> str:
    """The idempotency key of the step's action or compensation, whichever the call is."""
    return idempotency_key(call.saga_id, call.run, call.step, kind, call.revision)


def _report(participant: Participant, permit: Permit, attempt: Attempt, outcome: Outcome) -> None:
    """A participant that answers, if only to refuse, is well."""
    busy = outcome.answer is not None and outcome.answer["status"] == 429
    if outcome.verdict in (Verdict.SUCCEEDED, Verdict.REFUSED) or busy:
        participant.breaker.succeeded(permit)
    else:
        call = attempt.call
        by = Culprit(
            saga_id=str(call.saga_id),
            saga_type=call.saga_type,
            step=call.step,
            error=outcome.error,
            worker=attempt.worker,
        )
        participant.breaker.failed(permit, by)
