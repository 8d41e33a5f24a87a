"""A saga type's calls, answered from a script instead of by participants."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from executors.base import SagaExecutor
from executors.sample import sample
from sagas.domain.outcome import Outcome, Verdict
from sagas.domain.state import CallKind, Json, idempotency_key
from sagas.engine.ports import Attempt, StepCall


class Dies(BaseException):
    """The worker is gone."""


class Nobody:
    """A catalog without any code."""

    def find(self, saga_type: str, version: int) -> None:
        return None

    def is_through(self) -> bool:
        return True


class Scripted:
    """The catalog and the executor; where the script says nothing, calls succeed."""

    def __init__(self, executor: SagaExecutor, script: Mapping[str, list[str]]) -> None:
        self.executor = executor
        self.definition = executor.definition
        self.sent: list[tuple[str, str]] = []
        """The keys and bodies of the calls, in order."""

        self._script = {name: list(verdicts) for name, verdicts in script.items()}

    def is_through(self) -> bool:
        """Whether nothing of the script is left."""
        return not any(self._script.values())

    def find(self, saga_type: str, version: int) -> Scripted:
        asked = (saga_type, version)
        assert asked == (self.executor.saga_type, self.executor.version)
        return self

    def prepare(self, call: StepCall) -> Json:
        return self.executor.prepare(call)

    def perform(self, attempt: Attempt) -> Outcome:
        call = attempt.call
        key = idempotency_key(call.saga_id, call.run, call.step, call.kind)
        self.sent.append((key, attempt.request["body"]))
        step = self.executor.step(call.step)
        forward = call.kind is CallKind.ACTION
        left = self._script.get(step.name if forward else step.compensation, [])
        verdict = left.pop(0) if left else Verdict.SUCCEEDED.value
        if not verdict:
            raise Dies
        answer = step.answer if forward else None
        return Outcome(
            verdict=Verdict(verdict),
            output=sample(answer, "made-up") if verdict == Verdict.SUCCEEDED.value else None,
            error="" if verdict == Verdict.SUCCEEDED.value else f"{step.participant}: {verdict}",
            retry_after=timedelta(seconds=1) if verdict == Verdict.NOT_SENT.value else None,
        )
