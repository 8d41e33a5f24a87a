"""Previews: exactly which calls an operation leads to, before anybody asks for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from executors.base import SagaExecutor
from executors.perform import build, hiding_of, key_of
from executors.sample import NoSample, sample
from sagas.domain import triggers as tr
from sagas.domain.foresight import Ahead, foresee
from sagas.domain.state import CallKind, Json, SagaState, SagaStatus
from sagas.engine.ports import StepCall
from sagas.engine.store import Loaded


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedCall:
    """A call that will be made, if those before it succeed."""

    name: str
    """The action's or the compensation's."""

    step: str
    kind: CallKind
    attempt: int
    key: str
    """Its idempotency key."""

    takes_back: str
    """The key of the action that a compensation takes back; else empty."""

    request: Json | None
    """Participant, method, path and body; None where the saga's code cannot build it."""

    error: str
    """Why it cannot be built; empty if it can."""

    exact: bool
    """False where the request has in it what a call before it is yet to answer."""

    recorded: bool
    """Whether it was sent, or meant to be, before, and is repeated byte for byte."""

    in_flight: bool

    varies: bool = False
    """Whether its request is another each time that it is built, so that none can be shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What an operation leads to, if every call succeeds."""

    calls: tuple[PlannedCall, ...]
    begins: SagaStatus
    """The saga's status as it stands."""

    ends: SagaStatus
    fingerprint: str
    """Of the saga as it stood and of all this: another one means that the saga moved on."""


def plan(executor: SagaExecutor, loaded: Loaded, *triggers: tr.Trigger) -> Plan:
    """The plan of the triggers, one after the other. Raises Illegal if one is not allowed."""
    course = foresee(executor.definition, loaded.state, triggers, loaded.now())
    data = loaded.data
    for trigger in triggers:
        if isinstance(trigger, tr.EditData):
            data = dict(trigger.data)
    outputs = {s.name: s.output for s in course.after.steps if s.output is not None}
    if course.after.run != loaded.state.run:
        outputs = {}
    calls, ends = [], course.ends
    for ahead in course.calls:
        calls.append(_planned(executor, loaded, data, outputs, ahead, course.calls))
        if calls[-1].error and calls[-1].exact:
            ends = SagaStatus.FAILED
            break
    return Plan(
        calls=tuple(calls),
        begins=loaded.state.status,
        ends=ends,
        fingerprint=_fingerprint(loaded, data, triggers, calls),
    )


def _planned(
    executor: SagaExecutor,
    loaded: Loaded,
    data: dict[str, Any],
    outputs: dict[str, Json],
    ahead: Ahead,
    calls: Sequence[Ahead],
) -> PlannedCall:
    step = executor.step(ahead.step)
    call = StepCall(
        saga_id=loaded.id,
        saga_type=loaded.type,
        run=ahead.run,
        data=data,
        outputs=outputs,
        step=ahead.step,
        kind=ahead.kind,
        revision=ahead.revision,
    )
    found = _Built(request=ahead.request)
    if ahead.request is None:
        earlier = calls[: calls.index(ahead)]
        before = [other.step for other in earlier if other.kind is CallKind.ACTION]
        found, again = (_built(executor, call, before) for _ in range(2))
        found = replace(found, varies=found.request != again.request)
    action = ahead.kind is CallKind.ACTION
    return PlannedCall(
        name=step.name if action else step.compensation,
        step=step.name,
        kind=ahead.kind,
        attempt=ahead.attempt,
        key=key_of(call, ahead.kind),
        takes_back="" if action else key_of(call, CallKind.ACTION),
        request=found.request,
        error=found.error,
        exact=found.exact,
        varies=found.varies,
        recorded=ahead.request is not None,
        in_flight=ahead.in_flight,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Built:
    """What came of building a call; the fields are those of a PlannedCall."""

    request: Json | None = None
    error: str = ""
    exact: bool = True
    varies: bool = False


def _built(executor: SagaExecutor, call: StepCall, before: Sequence[str]) -> _Built:
    """The request, or why there is none; and whether it uses no answer that is yet to come."""
    unknown = [name for name in before if name not in call.outputs]
    outputs = _Watched(executor, call.outputs, unknown)
    try:
        with hiding_of(executor, call).cleansing():
            request = build(executor, replace(call, outputs=outputs))
    except NoSample as error:
        return _Built(error=str(error), exact=False)
    except (Exception, SystemExit) as error:
        why = f"{type(error).__name__}: {error}"[:300]
        return _Built(error=why, exact=not outputs.made_up)
    return _Built(request=request, exact=not outputs.made_up)


class _Watched(Mapping[str, Json]):
    """The outputs of earlier steps; those that are yet to come are made up, and that is noted."""

    def __init__(
        self, executor: SagaExecutor, known: Mapping[str, Json], unknown: Sequence[str]
    ) -> None:
        self._executor = executor
        self._known = known
        self._unknown = unknown
        self.made_up = False

    def __getitem__(self, name: str) -> Json:
        if name not in self._unknown:
            return self._known[name]
        self.made_up = True
        return sample(self._executor.step(name).answer, f"({name})")

    def __iter__(self) -> Iterator[str]:
        return iter([*self._known, *self._unknown])

    def __len__(self) -> int:
        return len(self._known) + len(self._unknown)


def _fingerprint(
    loaded: Loaded,
    data: dict[str, Any],
    triggers: Sequence[tr.Trigger],
    calls: Sequence[PlannedCall],
) -> str:
    """Of what matters to whom decides: anything at all that happened to a saga that stands; of one
    in progress not that somebody looked at an open breaker, or took the lease.
    """
    state = loaded.state
    moves = state.status is SagaStatus.IN_PROGRESS
    known = [
        str(loaded.id),
        [[type(trigger).__name__, _asked(trigger)] for trigger in triggers],
        [state.status, state.direction, state.run, state.cancel_requested],
        None if moves else state.seq,
        [_of_step(state, step.name) for step in state.steps],
        [asdict(replace(call, request=None) if call.varies else call) for call in calls],
        [loaded.data, data],
    ]
    text = json.dumps(known, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _asked(trigger: tr.Trigger) -> dict[str, Any]:
    """Why it is asked for may be written after the preview."""
    asked = asdict(trigger)
    return {name: asked[name] for name in asked if name not in ("reason", "evidence")}


def _of_step(state: SagaState, name: str) -> list[Any]:
    step = state.step(name)
    calls = [step.attempts, step.compensation_attempts, step.calling]
    return [step.status, step.effect, step.revision, step.output, *calls]
