"""Example sagas in every state, for trying out the API and the console.

They are driven by the engine as real ones are, except that the participants' answers are
made up here; nothing is called.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from executors.base import SagaExecutor
from executors.registry import registry
from executors.sample import sample
from sagas import services
from sagas.domain import triggers as tr
from sagas.domain.definition import Definition
from sagas.domain.outcome import Outcome, Verdict
from sagas.domain.state import CallKind, Json, SagaStatus
from sagas.engine.engine import Engine
from sagas.engine.ports import Attempt, StepCall

ACTOR = "seed"
_FOR_EVER = timedelta(days=3650)
"""The lease of the examples in progress: no worker is to take them over."""

_TYPES = ("purchase_saga", "return_saga")


class _Stop(Exception):
    """The call stays in flight."""


@dataclass(frozen=True, slots=True)
class _Pretender:
    """Answers a saga's calls from a script instead of calling participants."""

    executor: SagaExecutor
    script: Mapping[str, Verdict | None]
    """By action or compensation: the verdict, where it is not success; None stays in flight."""

    @property
    def definition(self) -> Definition:
        return self.executor.definition

    def find(self, saga_type: str, version: int) -> _Pretender:
        return self

    def prepare(self, call: StepCall) -> Json:
        return self.executor.build(call).to(self.executor.step(call.step).participant)

    def perform(self, attempt: Attempt) -> Outcome:
        call = attempt.call
        step = self.executor.step(call.step)
        name = step.name if call.kind is CallKind.ACTION else step.compensation
        verdict = self.script.get(name, Verdict.SUCCEEDED)
        if verdict is None:
            raise _Stop
        duration = timedelta(milliseconds=12)
        if verdict is Verdict.REFUSED:
            return Outcome(
                verdict=verdict,
                error=f"{step.participant} answered 409",
                answer={"status": 409, "body": '{"detail": "an example of a refusal"}'},
                duration=duration,
            )
        return Outcome(
            verdict=verdict,
            output=sample(step.answer, f"{name}-example") if call.kind is CallKind.ACTION else {},
            answer={"status": 200},
            duration=duration,
        )


def _scripts(definition: Definition) -> Iterator[tuple[str, dict[str, Verdict | None]]]:
    """A name and a script for each state that an example is wanted in."""
    forward = [step.name for step in definition.forward()]
    backward = [step.compensation for step in definition.backward()]
    last = forward[-1]
    yield "completed", {}
    yield "in_progress", {forward[2]: None}
    yield "compensating", {last: Verdict.REFUSED, backward[-1]: None}
    yield "compensated", {last: Verdict.REFUSED}
    yield "failed", {last: Verdict.REFUSED, backward[-1]: Verdict.REFUSED}


def seed() -> list[tuple[str, UUID]]:
    """Make what is missing of the examples; their names and ids. Running it again adds none."""
    made: list[tuple[str, UUID]] = []
    for saga_type in _TYPES:
        executor = registry.newest(saga_type)
        if executor is None:
            continue
        made.append(_pending(executor))
        for state, script in _scripts(executor.definition):
            name = f"{saga_type}/{state}"
            saga_id = _pending(executor, state)[1]
            if services.get_saga(saga_id).status == SagaStatus.PENDING.value:
                _run(_Pretender(executor, script), saga_id)
            made.append((name, saga_id))
    return made


def _pending(executor: SagaExecutor, state: str = "pending") -> tuple[str, UUID]:
    saga_type = executor.saga_type
    name = f"{saga_type}/{state}"
    created = services.create_saga(
        saga_type, executor.example, execute=False, actor=ACTOR, idempotency_key=f"seed:{name}"
    )
    return name, created.saga.id


def _run(pretender: _Pretender, saga_id: UUID) -> None:
    # An engine of its own, without observers: no worker is woken, no metric counts examples.
    engine = Engine(pretender, owner=ACTOR, lease=_FOR_EVER, park=_FOR_EVER)
    engine.command(saga_id, tr.Execute(), actor=ACTOR, reason="an example")
    try:
        engine.drive(saga_id)
    except _Stop:
        return
