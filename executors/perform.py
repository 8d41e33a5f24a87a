"""Makes one attempt: build or repeat the call, ask the breaker, send, read the answer."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta

from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from executors.answers import Unusable, excerpt, read_output, verdict_on
from executors.base import Request, SagaExecutor, SagaView, Step, call_headers
from executors.breaker import Permit
from executors.participants import Participant, participants
from executors.retry_after import parse_retry_after
from executors.transport import AnswerTooLarge
from sagas.domain.outcome import Outcome, Verdict
from sagas.domain.state import CallKind, Json
from sagas.engine.ports import StepCall

logger = logging.getLogger(__name__)


def perform(executor: SagaExecutor, call: StepCall) -> Outcome:
    """The outcome of one attempt; whatever goes wrong is part of it."""
    step = executor.step(call.step)
    try:
        request = _request(executor, call)
        participant = participants().get(step.participant)
    except Exception as error:
        # Nothing was sent. A retry would run the same code on the same data.
        logger.exception("the call for step %s could not be built", call.step)
        return Outcome(
            verdict=Verdict.BROKEN,
            error=f"its call could not be built: {type(error).__name__}: {error}",
        )
    permit = participant.breaker.enter()
    if permit.wait is not None:
        return Outcome(
            verdict=Verdict.NOT_SENT,
            error=f"the circuit breaker of {step.participant!r} is open",
            retry_after=permit.wait,
        )
    outcome = _send(step, call, request, participant)
    _report(participant, permit, outcome)
    return outcome


def _request(executor: SagaExecutor, call: StepCall) -> Request:
    if call.recorded is not None:
        return Request(call.recorded["method"], call.recorded["path"], call.recorded["body"])
    view = SagaView(id=call.saga_id, run=call.run, data=call.data, outputs=call.outputs)
    return executor.build(call.step, call.kind, view)


def _send(step: Step, call: StepCall, request: Request, participant: Participant) -> Outcome:
    name = step.name if call.kind is CallKind.ACTION else step.compensation
    started = time.monotonic()
    sent: Json = {
        "participant": step.participant,
        "method": request.method,
        "path": request.path,
        "body": request.body,
    }
    deadline = min(started + step.definition().timeout.total_seconds(), call.expires)
    verdict, error, answer, output, retry_after = Verdict.IN_DOUBT, "", None, None, None
    try:
        status, headers, body = participant.send(request, call_headers(call, name), deadline)
        answer = {"status": status}
        verdict = verdict_on(status, dict(step.verdicts))
        if verdict is Verdict.SUCCEEDED:
            output = read_output(body, headers, step.answer if name == step.name else None)
        else:
            answer["body"] = excerpt(body)
            error = f"{step.participant} answered {status}"
            retry_after = parse_retry_after(headers.get("retry-after"), datetime.now(UTC))
    except Unusable as unusable:
        verdict, error = Verdict.IN_DOUBT, f"{step.participant}: {unusable}"
        answer = {"status": status, "body": excerpt(body)}
    except (NewConnectionError, ConnectTimeoutError) as failed:
        verdict, error = Verdict.NOT_APPLIED, f"{step.participant} was not reached: {failed}"
    except (HTTPError, OSError, AnswerTooLarge, ValueError) as failed:
        error = f"{step.participant} gave no usable answer: {type(failed).__name__}: {failed}"
    return Outcome(
        verdict=verdict,
        output=output,
        error=error,
        retry_after=retry_after,
        request=sent,
        answer=answer,
        duration=timedelta(seconds=time.monotonic() - started),
    )


def _report(participant: Participant, permit: Permit, outcome: Outcome) -> None:
    """A participant that answers, if only to refuse, is well."""
    busy = outcome.answer is not None and outcome.answer["status"] == 429
    if outcome.verdict in (Verdict.SUCCEEDED, Verdict.REFUSED) or busy:
        participant.breaker.succeeded(permit)
    else:
        participant.breaker.failed(permit)
