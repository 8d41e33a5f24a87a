"""The heart: what follows when something happens to a saga.

`decide` is a pure function, after the decider pattern (J. Chassaing, "Functional Event
Sourcing Decider", 2021): definition, state, trigger and time give the events to record.
It knows no clock, no randomness and no I/O, so that it can be tested as a table and
explored exhaustively.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import singledispatch

from sagas.domain import attempts as at
from sagas.domain import events as ev
from sagas.domain import triggers as tr
from sagas.domain.answers import ASKED_FOR, answered, broken, interrupted
from sagas.domain.definition import Definition
from sagas.domain.mending import DataEdited, DoubtResolved, StepSkipped
from sagas.domain.rules import (
    Call,
    Decision,
    Illegal,
    call_to_skip,
    call_to_start,
    doubts_to_resolve,
    may_edit,
    next_call,
)
from sagas.domain.state import CallKind, Direction, Operation, SagaState, SagaStatus

MAX_CRASHES = 3
"""A saga whose worker vanished this often in a row, recording nothing, is stopped as failed."""

LEASE_MARGIN = timedelta(seconds=1)
"""What is left of a lease when the longest call under it ends, so that its answer can be kept."""


def decide(
    definition: Definition, state: SagaState, trigger: tr.Trigger, now: datetime
) -> tuple[ev.Event, ...]:
    """The events that the trigger causes. Raises Illegal, having changed nothing."""
    return transition(definition, state, trigger, now)[0]


def transition(
    definition: Definition, state: SagaState, trigger: tr.Trigger, now: datetime
) -> tuple[tuple[ev.Event, ...], SagaState]:
    """What `decide` gives, and the state to which those events lead."""
    decision = Decision(definition, state, now)
    return tuple(_on(trigger, decision)), decision.state


@singledispatch
def _on(trigger: object, d: Decision) -> Iterator[ev.Event]:
    raise TypeError(f"not a trigger: {trigger!r}")


@_on.register
def _(trigger: tr.Execute, d: Decision) -> Iterator[ev.Event]:
    d.require(Operation.EXECUTE)
    yield d.record(ev.ExecuteRequested(due_at=d.now, deadline=d.deadline()))


@_on.register
def _(trigger: tr.Retry, d: Decision) -> Iterator[ev.Event]:
    d.require(Operation.RETRY)
    run = d.state.run + (d.state.status is SagaStatus.COMPENSATED)
    yield d.record(ev.RetryRequested(due_at=d.now, deadline=d.deadline(), run=run))


@_on.register
def _(trigger: tr.Compensate, d: Decision) -> Iterator[ev.Event]:
    d.require(Operation.COMPENSATE)
    pending = d.state.status is SagaStatus.PENDING
    yield d.record(ev.CompensateRequested(due_at=d.now, reason=trigger.reason))
    if d.state.cancel_requested:
        return  # the call in flight is finished first; its answer turns the saga round
    if not pending:
        yield d.record(ev.CompensationTriggered(reason=trigger.reason or ASKED_FOR))
    if next_call(d.definition, d.state) is None or pending:
        yield d.record(ev.SagaCompensated())


@_on.register
def _(trigger: tr.Resolve, d: Decision) -> Iterator[ev.Event]:
    if trigger.step not in doubts_to_resolve(d.state):
        raise Illegal(f"{trigger.step} is not in doubt, or is being called right now")
    # An action that was not applied is tried again when it would have been.
    forward = d.state.direction is Direction.FORWARD
    yield d.record(
        DoubtResolved(
            step=trigger.step,
            applied=trigger.applied,
            evidence=trigger.evidence,
            output=trigger.output if trigger.applied else None,
            due_at=d.at_once if trigger.applied or not forward else d.state.due_at,
        )
    )


@_on.register
def _(trigger: tr.Skip, d: Decision) -> Iterator[ev.Event]:
    call = call_to_skip(d.definition, d.state)
    if call is None or call.step != trigger.step:
        raise Illegal(f"{trigger.step} is not where the saga is stuck, or is in doubt")
    output = trigger.output if call.kind is CallKind.ACTION else None
    yield d.record(StepSkipped(step=call.step, call=call.kind, output=output, due_at=d.at_once))


@_on.register
def _(trigger: tr.EditData, d: Decision) -> Iterator[ev.Event]:
    if not may_edit(d.state):
        raise Illegal(f"the data of a saga that is {d.state.status.value} cannot be edited now")
    yield d.record(DataEdited(data=trigger.data, before=trigger.before))


@_on.register
def _(trigger: tr.Park, d: Decision) -> Iterator[ev.Event]:
    _require_due(d)
    # The claim fences off a predecessor that may still be running.
    yield d.record(ev.Claimed(owner="", until=d.now + trigger.wait))
    yield d.record(ev.Parked(reason=trigger.reason, due_at=d.now + trigger.wait))


@_on.register
def _(trigger: tr.Claim, d: Decision) -> Iterator[ev.Event]:
    _require_due(d)
    poisoned = d.state.crashes >= MAX_CRASHES
    lost = d.state.calling
    yield d.record(ev.Claimed(owner=trigger.owner, until=d.now + trigger.lease))
    if lost is not None:
        yield from interrupted(d, lost, poisoned)
    if poisoned and d.state.status is SagaStatus.IN_PROGRESS:
        reason = f"its worker vanished {MAX_CRASHES} times in a row while driving it"
        yield d.record(ev.SagaFailed(reason=reason))
    yield from _settle(d)


@_on.register
def _(trigger: tr.Lose, d: Decision) -> Iterator[ev.Event]:
    leased = d.state.due_at is not None and d.state.due_at > d.now
    if not leased or not trigger.owner or d.state.owner != trigger.owner:
        raise Illegal("the worker does not have the saga")
    if d.state.crashes > 1:
        raise Illegal("it was lost before: now its lease has to end")
    yield d.record(ev.WorkerLost(owner=trigger.owner, due_at=d.now))


@_on.register
def _(trigger: tr.Start, d: Decision) -> Iterator[ev.Event]:
    call = _require_next(d)
    if d.must_turn:  # building the call took until the deadline
        yield from _settle(d)
        return
    known = d.state.step(call.step).request_of(call.kind) is not None
    yield d.record(
        at.AttemptStarted(
            step=call.step,
            call=call.kind,
            attempt=call.attempt,
            until=_leased_until(d, call, trigger.lease),
            request=None if known else trigger.request,
        )
    )


@_on.register
def _(trigger: tr.Unbuildable, d: Decision) -> Iterator[ev.Event]:
    call = _require_next(d)
    yield from broken(d, call.step, call.kind, call.attempt, trigger.error)


@_on.register
def _(trigger: tr.Answer, d: Decision) -> Iterator[ev.Event]:
    step = d.state.calling
    if step is None or step.calling is None:
        raise Illegal("no call is in flight")
    yield from answered(d, step, step.calling, trigger)
    if d.state.owner:
        yield from _settle(d)
    if d.state.owner and trigger.hand_back:
        yield d.record(ev.HandedBack(due_at=d.now))


def _require_due(d: Decision) -> None:
    if d.state.due_at is None or d.state.due_at > d.now:
        raise Illegal("the saga is not due")


def _require_next(d: Decision) -> Call:
    """The call that the holder of the lease may start now."""
    call = call_to_start(d.definition, d.state)
    if call is None:
        raise Illegal("no call is to be started")
    return call


def _leased_until(d: Decision, call: Call, lease: timedelta) -> datetime:
    """The end of the lease, renewed only where it would end too soon for the call.

    Rows are found by it when it has passed, so that each change of it costs the index, too.
    """
    until, needed = d.state.due_at, d.definition.step(call.step).timeout + LEASE_MARGIN
    return until if until is not None and until - d.now >= needed else d.now + lease


def _settle(d: Decision) -> Iterator[ev.Event]:
    """Turn round at the deadline, and end the saga when nothing is left to call."""
    if d.state.status is not SagaStatus.IN_PROGRESS:
        return
    if next_call(d.definition, d.state) is not None and d.must_turn:
        yield d.record(ev.CompensationTriggered(reason="the deadline passed"))
    if next_call(d.definition, d.state) is None:
        forward = d.state.direction is Direction.FORWARD
        yield d.record(ev.SagaCompleted() if forward else ev.SagaCompensated())
