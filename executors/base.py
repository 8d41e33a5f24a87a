"""How a saga type is declared: a table of steps, and a method for each of their calls.

A method builds the call to a participant from the saga's data and the outputs of earlier
steps; it sends nothing itself. So a call can be previewed, and repeated byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from rest_framework.serializers import Serializer

from sagas.domain.definition import Definition, RetryPolicy, StepDefinition
from sagas.domain.outcome import Outcome, Verdict
from sagas.domain.state import CallKind, Json
from sagas.engine.ports import Attempt, StepCall

_ENCODER = DjangoJSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)
_METHOD = re.compile(r"[A-Z]+")
_PATH = re.compile(r"/(?!/)[!-\"$-~]*")  # visible ASCII, no fragment, no other host
_DOTS = re.compile(r"/\.\.?(/|\?|$)")


class Refusal(Exception):
    """An answer's serializer raises it where a 2xx means no: `{"available": false}`."""


@dataclass(frozen=True, slots=True)
class Request:
    """A call to a participant, before it is sent. Raises ValueError if it could not be."""

    method: str
    path: str
    """Starts with a slash; what goes into it from data is to be quoted."""

    body: str
    """The exact JSON text that is sent."""

    def __post_init__(self) -> None:
        _check(self.method, self.path)

    def to(self, participant: str) -> Json:
        """The request as it is recorded, with whom it goes to.

        Its key means something to its first receiver only, so that one never changes either.
        """
        return {
            "participant": participant,
            "method": self.method,
            "path": self.path,
            "body": self.body,
        }


@lru_cache(maxsize=1024)
def _check(method: str, path: str) -> None:
    """Raises ValueError. What passed is remembered: many paths are the same in all sagas."""
    if not _METHOD.fullmatch(method):
        raise ValueError(f"{method!r} is not an HTTP method")
    if not _PATH.fullmatch(path) or _DOTS.search(path):
        raise ValueError(f"{path[:100]!r} is not the path of a call")


def post(path: str, body: Mapping[str, Any]) -> Request:
    """A POST of a JSON object. Raises TypeError or ValueError if it is not JSON."""
    return Request("POST", path, _ENCODER.encode(body))


@dataclass(frozen=True, kw_only=True, slots=True)
class SagaView:
    """What a step's method may use: the saga's data and what earlier steps gave."""

    id: UUID
    run: int
    data: Json
    outputs: Mapping[str, Json]

    def output(self, step: str) -> Json:
        """The output of a step of this run; empty while its answer was never seen."""
        return self.outputs.get(step, {})


@dataclass(frozen=True, slots=True)
class Step:
    """A row of a saga type's table of steps."""

    name: str
    """Names the action, and the method that builds its call."""

    participant: str
    """The service that it calls; `PARTICIPANT_<NAME>_URL` says where that is."""

    compensation: str = field(default="", kw_only=True)
    """Names the compensation and its method; empty when there is no effect to undo."""

    answer: type[Serializer[Any]] | None = field(default=None, kw_only=True)
    """Validates the participant's answer to the action; what it keeps is the step's output."""

    pivot: bool = field(default=False, kw_only=True)
    """After this step the saga only goes forward."""

    timeout: float | None = field(default=None, kw_only=True)
    """Total deadline of one call, in seconds; the setting's when absent."""

    max_retries: int | None = field(default=None, kw_only=True)
    """Attempts after the first; the setting's when absent."""

    retry_delay: float | None = field(default=None, kw_only=True)
    """Wait before the first retry, in seconds; the setting's when absent."""

    verdicts: Mapping[int, Verdict] = field(default_factory=dict, kw_only=True)
    """What certain HTTP statuses mean for this step, where that differs from the rule."""

    def definition(self) -> StepDefinition:
        """The step as the engine knows it, with the settings' limits where it names none."""
        default = settings.SAGA_RETRY
        delay = default["delay"] if self.retry_delay is None else self.retry_delay
        retries = int(default["max_retries"]) if self.max_retries is None else self.max_retries
        timeout = settings.SAGA_CALL_TIMEOUT if self.timeout is None else self.timeout
        return StepDefinition(
            name=self.name,
            compensation=self.compensation,
            pivot=self.pivot,
            timeout=timedelta(seconds=timeout),
            retry=RetryPolicy(
                max_retries=retries,
                delay=timedelta(seconds=delay),
                multiplier=default["multiplier"],
                max_delay=timedelta(seconds=default["max_delay"]),
            ),
        )


class SagaExecutor:
    """The base of every saga type: subclass it, fill in the table, write the methods."""

    saga_type: ClassVar[str] = ""
    """The name under which clients create sagas of this type."""

    version: ClassVar[int] = 1
    """Raise it with any change to the steps, and keep the old class while its sagas live."""

    data: ClassVar[type[Serializer[Any]]]
    """Validates the data that a client gives; steps see what it keeps."""

    steps: ClassVar[tuple[Step, ...]] = ()
    """The steps, in order."""

    secrets: ClassVar[tuple[str, ...]] = ()
    """Fields, at any depth of data, outputs, requests and answers, whose values nobody is shown."""

    example: ClassVar[Mapping[str, Any]] = {}
    """Valid data, for `explore_saga`."""

    deadline: ClassVar[float | None] = None
    """Seconds from execute within which the saga must finish going forward."""

    def __init__(self) -> None:
        self.definition = Definition(
            type=self.saga_type,
            version=self.version,
            steps=tuple(step.definition() for step in self.steps),
            deadline=None if self.deadline is None else timedelta(seconds=self.deadline),
        )
        self._steps = {step.name: step for step in self.steps}

    def step(self, name: str) -> Step:
        """The row of that step. Raises KeyError."""
        return self._steps[name]

    def build(self, call: StepCall) -> Request:
        """The request that the step's method builds. Raises whatever the method raises."""
        row = self.step(call.step)
        name = row.name if call.kind is CallKind.ACTION else row.compensation
        view = SagaView(id=call.saga_id, run=call.run, data=call.data, outputs=call.outputs)
        built = getattr(self, name)(view)
        if not isinstance(built, Request):
            raise TypeError(f"{name} gave {type(built).__name__}, not a Request")
        return built

    def prepare(self, call: StepCall) -> Json:
        """The request that all attempts of the call send. Raises whatever the method raises."""
        from executors.perform import prepare

        return prepare(self, call)

    def perform(self, attempt: Attempt) -> Outcome:
        """Send the request, and say what its answer means."""
        from executors.perform import perform

        return perform(self, attempt)
