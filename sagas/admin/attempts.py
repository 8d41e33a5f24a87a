"""The attempts of a run, by call: what was sent, what came back, and how to send it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from executors import credentials
from executors.base import Step
from executors.perform import call_headers
from sagas.admin import course as co
from sagas.admin.diagram import anchor, participants
from sagas.admin.shown import Shown
from sagas.admin.words import RESULTS, Look
from sagas.domain.state import CallKind, idempotency_key
from sagas.engine.ports import StepCall
from sagas.models import Saga, SagaStep

_UNKNOWN = "http://{}.invalid"
"""Stands for the address of a participant that the settings do not name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptRow:
    """One attempt."""

    attempt: co.Attempt
    look: Look
    date: str
    time: str
    took: str
    error: str
    status: int | None
    """The HTTP status of the answer."""

    answer: str
    output: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """What all attempts of a call send."""

    method: str
    url: str
    headers: str
    body: str
    curl: str
    hidden: bool
    """Whether secrets are hidden in it."""

    address_known: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """An action or a compensation of a run."""

    anchor: str
    name: str
    step: str
    compensates: bool
    participant: str
    key: str
    sent: Sent | None
    attempts: list[AttemptRow]


def calls(saga: Saga, run: int, course: co.Course, shown: Shown) -> Iterator[Call]:
    """The calls of the run, in the order in which they were first made."""
    steps = {step.name: step for step in saga.steps.all()}
    whom = participants(saga)
    first = dict.fromkeys((each.step, each.call) for each in course.attempts)
    for name, kind in first:
        step = steps.get(name)
        if step is None or kind not in set(CallKind):
            continue  # of no saga that was ever driven
        compensates = kind == CallKind.COMPENSATION.value
        request = _request(saga, step, kind, run, course)
        made = [each for each in course.attempts if (each.step, each.call) == (name, kind)]
        yield Call(
            anchor=anchor(step.position, kind),
            name=step.compensation if compensates else name,
            step=name,
            compensates=compensates,
            participant=co.read(request, "participant", str, whom[name]),
            key=idempotency_key(saga.id, run, name, CallKind(kind)),
            sent=_sent(saga, run, step, CallKind(kind), request, whom[name], shown),
            attempts=[_row(each, shown) for each in made],
        )


def _request(saga: Saga, step: SagaStep, kind: str, run: int, course: co.Course) -> Any:
    """What was sent, from the run's events or, for the present run, from the step's row."""
    if (step.name, kind) in course.requests or run != saga.run:
        return course.requests.get((step.name, kind))
    return step.request if kind == CallKind.ACTION.value else step.compensation_request


def _sent(
    saga: Saga,
    run: int,
    step: SagaStep,
    kind: CallKind,
    request: Any,
    participant: str,
    shown: Shown,
) -> Sent | None:
    if not isinstance(request, Mapping):
        return None
    visible = shown.document(request)
    participant = co.read(request, "participant", str, participant)
    address = settings.SAGA_PARTICIPANTS.get(participant)
    base = address or _UNKNOWN.format(participant or "participant")
    method = co.read(visible, "method", str, "POST")
    url = base.rstrip("/") + co.read(visible, "path", str, "")
    body = co.read(request, "body", str, "")
    sent, hidden = shown.sent(body)
    headers, login = _headers(saga, run, step, kind, participant), credentials.shown(participant)
    return Sent(
        method=method,
        url=url,
        headers="\n".join(f"{name}: {value}" for name, value in (headers | login).items()),
        body=shown.body(body),
        curl=curl(method, url, headers, sent, login),
        hidden=hidden or visible != request,
        address_known=address is not None,
    )


def _headers(
    saga: Saga, run: int, step: SagaStep, kind: CallKind, participant: str
) -> dict[str, str]:
    row = Step(step.name, participant, compensation=step.compensation)
    call = StepCall(
        saga_id=saga.id,
        saga_type=saga.type,
        run=run,
        data={},
        outputs={},
        step=step.name,
        kind=kind,
    )
    return call_headers(row, call)


def curl(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: str,
    variables: Mapping[str, str] | None = None,
) -> str:
    """The call as a command for a POSIX shell.

    Nothing in it is read by the shell or by curl, but for headers that are variables of the shell.
    """
    quoted = {name: shlex.quote(f"{name}: {value}") for name, value in headers.items()}
    expanded = {name: f'"{name}: {value}"' for name, value in (variables or {}).items()}
    lines = [
        f"curl --globoff -X {shlex.quote(method)} {shlex.quote(url)}",
        *(f"-H {option}" for option in (quoted | expanded).values()),
        f"--data-raw {shlex.quote(body)}",
    ]
    return " \\\n  ".join(lines)


def _row(attempt: co.Attempt, shown: Shown) -> AttemptRow:
    answer = attempt.answer
    took = attempt.duration_ms
    if took is None and attempt.ended is not None:
        took = (attempt.ended - attempt.started).total_seconds() * 1000
    return AttemptRow(
        attempt=attempt,
        look=RESULTS[attempt.result],
        date=f"{attempt.started:%Y-%m-%d}",
        time=f"{attempt.started:%H:%M:%S}.{attempt.started.microsecond // 1000:03d}",
        took="" if took is None else f"{took:.0f} ms",
        error=shown.text(attempt.error, answer),
        status=co.read(answer, "status", int),
        answer="" if answer is None else _body(answer, shown),
        output="" if attempt.output is None else shown.json(attempt.output),
    )


def _body(answer: Any, shown: Shown) -> str:
    """The answer's body where there is one, and no more than that to be read."""
    body = co.read(answer, "body", str)
    if body is None:
        return "" if co.read(answer, "status", int) is not None else shown.json(answer)
    return shown.body(body)
