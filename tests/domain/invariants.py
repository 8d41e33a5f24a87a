"""The invariants of decisions and worlds, by their numbers in `sagas.verify.invariants`."""

from __future__ import annotations

from collections.abc import Sequence

from sagas.domain import attempts as at
from sagas.domain import events as ev
from sagas.domain import triggers as tr
from sagas.domain.definition import Definition
from sagas.domain.state import ENDED, CallKind, Direction, Effect, SagaState, SagaStatus, StepStatus
from tests.domain.given import NOW
from tests.domain.world import IDLE, Request, Violation, World

EDGES: dict[tuple[SagaStatus, SagaStatus], set[type[ev.Event]]] = {
    (SagaStatus.PENDING, SagaStatus.IN_PROGRESS): {ev.ExecuteRequested},
    (SagaStatus.PENDING, SagaStatus.COMPENSATED): {ev.SagaCompensated},
    (SagaStatus.IN_PROGRESS, SagaStatus.COMPLETED): {ev.SagaCompleted},
    (SagaStatus.IN_PROGRESS, SagaStatus.FAILED): {ev.SagaFailed},
    (SagaStatus.IN_PROGRESS, SagaStatus.COMPENSATED): {ev.SagaCompensated},
    (SagaStatus.COMPLETED, SagaStatus.IN_PROGRESS): {ev.CompensationTriggered},
    (SagaStatus.FAILED, SagaStatus.IN_PROGRESS): {ev.RetryRequested, ev.CompensationTriggered},
    (SagaStatus.COMPENSATED, SagaStatus.IN_PROGRESS): {ev.RetryRequested},
}
"""The allowed changes of status, and the events that make them."""

_COMMANDS = (tr.Execute, tr.Compensate, tr.Retry)
_MENDS = (tr.Resolve, tr.Skip, tr.EditData)


def _require(holds: object, violation: str) -> None:
    if not holds:
        raise Violation(violation)


# Of one decision: the events that a trigger caused


def check_decision(
    definition: Definition, saga: SagaState, trigger: tr.Trigger, events: Sequence[ev.Event]
) -> SagaState:
    """The state that the events lead to. Raises Violation."""
    state = saga
    asked = saga.cancel_requested or isinstance(trigger, tr.Compensate)
    for number, event in enumerate(events):
        before, state = state, ev.evolve(state, event)
        if state.status is not before.status:
            edge = EDGES.get((before.status, state.status), ())
            _require(type(event) in edge, "10: not an edge of the transition table")
        claims = isinstance(event, ev.Claimed)
        _require(state.epoch == before.epoch + claims, "12: only a claim makes a new epoch")
        if isinstance(event, ev.CompensationTriggered) and not asked:
            _require(not _past_pivot(definition, before), "10: turned round past the pivot")
        if isinstance(event, ev.SagaFailed):
            _check_failed(definition, before, event, events[:number])
        if isinstance(event, at.AttemptHeld):
            spent = state.step(event.step).attempts_of(event.call)
            _require(spent == event.attempt - 1, "18: waiting for the breaker costs an attempt")
        if isinstance(event, at.AttemptStarted):
            most = 1 + definition.step(event.step).retry.max_retries
            _require(event.attempt <= most, "13: more attempts than retries allow")
        if isinstance(event, ev.HandedBack):
            handed = not (state.calling or state.owner)
            _require(handed, "shape: handed back with a call in flight, or not at all")
    _check_change(saga, trigger, state)
    return state


def _past_pivot(definition: Definition, state: SagaState) -> bool:
    pivot = definition.pivot
    return pivot is not None and state.step(pivot).effect is not Effect.NONE


def _check_failed(
    definition: Definition, state: SagaState, failed: ev.SagaFailed, events: Sequence[ev.Event]
) -> None:
    """A person is called only for what the saga cannot do by itself."""
    _require(failed.reason, "21: failed without a reason")
    last = next((e for e in reversed(events) if isinstance(e, at.AttemptEvent)), None)
    if "vanished 3 times" in failed.reason or isinstance(last, at.AttemptBroken):
        return
    assert last is not None
    if state.direction is Direction.FORWARD:
        _require(_past_pivot(definition, state), "10: failed though it could turn round")
    elif not isinstance(last, at.AttemptRefused):
        retry = definition.step(last.step).retry
        _require(last.attempt > retry.max_retries, "13: a compensation was given up early")


def _check_change(saga: SagaState, trigger: tr.Trigger, state: SagaState) -> None:
    by_command = isinstance(trigger, _COMMANDS)
    claims = isinstance(trigger, tr.Claim | tr.Park)
    mended = isinstance(trigger, _MENDS) and state.status is saga.status
    _require(saga.status not in ENDED or by_command or mended, "9: an ended saga went on by itself")
    _require(state.epoch == saga.epoch + claims, "12: a claim without a new epoch")
    turned_back = saga.direction is not state.direction is Direction.FORWARD
    _require(not turned_back or state.run == saga.run + 1, "8: turned back within a run")
    went_on = state.direction is Direction.FORWARD and state.status is SagaStatus.IN_PROGRESS
    forgot = saga.cancel_requested and went_on and not state.cancel_requested
    _require(not forgot, "16: a command was forgotten")
    in_progress = state.status is SagaStatus.IN_PROGRESS
    _require((state.due_at is not None) == in_progress, "22: in progress it is due some time")
    calling = [step for step in state.steps if step.calling]
    _require(len(calling) <= 1, "shape: two calls are in flight")
    idle = not (state.owner or calling or state.cancel_requested)
    _require(in_progress or idle, "shape: an ended saga with work left")
    parked = isinstance(trigger, tr.Park | tr.Compensate | tr.Lose)
    _require(not calling or state.owner or parked, "shape: a call in flight is nobody's")


# Of a call that is started, and of one that is sent


def check_start(
    definition: Definition, saga: SagaState, call: at.AttemptStarted, world: World
) -> None:
    """What is to hold in the database and in the ledgers when a call is started."""
    names = [step.name for step in definition.steps]
    place = names.index(call.step)
    if call.call is CallKind.ACTION:
        forward = saga.direction is Direction.FORWARD and not saga.cancel_requested
        _require(forward, "8: an action is started by a saga that compensates")
        late = saga.deadline is not None and saga.deadline <= NOW
        _require(not late or _past_pivot(definition, saga), "8: an action beyond the deadline")
        for earlier in names[:place]:
            recorded = saga.step(earlier).status is StepStatus.COMPLETED
            done = recorded and world.net(saga.run, earlier) == 1
            _require(done, "6: an action is started before the one before it succeeded")
    else:
        for later in definition.steps[place + 1 :]:
            open_ = saga.step(later.name).effect is not Effect.NONE
            open_ = open_ or world.net(saga.run, later.name) != 0
            early = open_ and later.compensation
            _require(not early, "7: a compensation is started before a later one is resolved")


def check_recorded(recorded: frozenset[Request]) -> None:
    """Each call has one request for ever."""
    keys = {request.key for request in recorded}
    _require(len(keys) == len(recorded), "5: two requests for one call")


def check_sent(world: World, request: Request) -> None:
    """What is sent was recorded before."""
    _require(request in world.recorded, "4: a call is sent that is not recorded")


# Of a whole world


def check_world(definition: Definition, saga: SagaState, world: World) -> None:
    """Where nothing is under way any more, the ledgers are what the status says."""
    if world.late or any(worker != IDLE for worker in world.workers):
        return
    nets = {step.name: world.net(saga.run, step.name) for step in definition.steps}
    undoable = [step.name for step in definition.steps if step.compensation]
    if saga.status is SagaStatus.COMPLETED:
        _require({*nets.values()} == {1}, "1: completed without the effect of each action")
    if saga.status is SagaStatus.COMPENSATED:
        left = any(nets[name] for name in undoable)
        _require(not left, "2: compensated with an effect left")
    lasting = {*undoable, definition.pivot or ""} - {""}
    left = any(world.net(run, name) for run in range(1, saga.run) for name in lasting)
    _require(not left, "2: an effect of an earlier run is left")
