"""A small world around the core, searched breadth-first: every order of every fault in it.

Two workers drive one saga of two steps. A worker may crash or be paused at any point: after
the commit and before the call, between the call and the record, beyond its lease. A request
may not connect, be answered, or time out; one that timed out may still arrive at any later
time, or never. People send a few commands, at any time. Time itself is not modelled: a lease
or a wait may end as soon as it began.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any, cast

from sagas.domain import attempts as at
from sagas.domain import triggers as tr
from sagas.domain.decide import decide
from sagas.domain.definition import Definition, RetryPolicy, StepDefinition
from sagas.domain.events import SagaCreated, evolve, replay
from sagas.domain.outcome import Outcome, Verdict
from sagas.domain.rules import Illegal, allowed_operations, call_to_start
from sagas.domain.state import (
    CallKind,
    Direction,
    Effect,
    Operation,
    SagaState,
    SagaStatus,
    StepStatus,
)
from tests.domain.given import LEASE, NOW
from tests.domain.world import Request, Rules, Worker, World, arrives

NAMES = ("first", "second")
DEFINITION = Definition(
    type="explored",
    version=1,
    steps=tuple(
        StepDefinition(name=n, compensation=f"undo {n}", retry=RetryPolicy(max_retries=1))
        for n in NAMES
    ),
)
COMMANDS: dict[Operation, tr.Trigger] = {
    Operation.EXECUTE: tr.Execute(),
    Operation.COMPENSATE: tr.Compensate(),
    Operation.RETRY: tr.Retry(),
}

START = tr.Start(lease=LEASE, request=cast(Any, "the request"))  # to be hashed, unlike a dict


class Violation(Exception):
    """An invariant of faults.md does not hold."""


Move = tuple[str, World]


def start(rules: Rules) -> World:
    saga = replay([SagaCreated(steps=NAMES)])
    return World(
        saga, (Worker(), Worker()), frozenset(), (), frozenset(), rules.commands, rules.faults
    )


def explore(rules: Rules) -> int:
    """The number of worlds that can be reached. Raises Violation with the way to a bad one."""
    came_from: dict[World, tuple[World | None, str]] = {start(rules): (None, "")}
    frontier = list(came_from)
    _decided.cache_clear()
    for world in frontier:  # it grows while it is read
        try:
            _check(world)
            for label, reached in _moves(rules, world):
                if reached not in came_from:
                    came_from[reached] = (world, label)
                    frontier.append(reached)
        except Violation as violation:
            raise Violation(f"{violation} after: {_way(came_from, world)}") from None
    return len(frontier)


def _way(came_from: dict[World, tuple[World | None, str]], world: World | None) -> str:
    labels: list[str] = []
    while world is not None:
        world, label = came_from[world]
        labels.insert(0, label)
    return "; ".join(labels[1:])


# What may happen next


def _moves(rules: Rules, world: World) -> Iterator[Move]:
    for operation in allowed_operations(DEFINITION, world.saga):
        cost = operation is not Operation.EXECUTE
        if world.commands >= cost:
            left = world._replace(commands=world.commands - cost)
            yield operation.value, _decides(left, COMMANDS[operation])
    lease_lost = world.saga.calling is not None
    if Worker() in world.workers and world.saga.due_at and world.faults >= lease_lost:
        yield "claim", _claimed(world._replace(faults=world.faults - lease_lost))
    for worker in {*world.workers} - {Worker()}:
        yield "crash", _with(world, worker, Worker())
        if worker.heard is None:
            yield from _calls(rules, world, worker)
        else:
            yield f"record {worker.heard}", _recorded(rules, world, worker)
    for request in world.late:
        gone = world._replace(late=world.late - {request})
        yield f"{request.kind} {request.step} is lost", gone
        for verdict, reached in arrives(rules, gone, request):
            yield f"late {request.kind} {request.step} {verdict}", reached


def _calls(rules: Rules, world: World, worker: Worker) -> Iterator[Move]:
    """The worker makes its call: no connection, a time-out, or an answer."""
    request = worker.call
    assert request is not None
    call = f"{request.kind} {request.step}"
    yield f"{call} no connection", _with(world, worker, worker._replace(heard=Verdict.NOT_APPLIED))
    if world.faults:
        lost = world._replace(late=world.late | {request}, faults=world.faults - 1)
        yield f"{call} time-out", _with(lost, worker, worker._replace(heard=Verdict.IN_DOUBT))
    for verdict, reached in arrives(rules, world, request):
        yield f"{call} {verdict}", _with(reached, worker, worker._replace(heard=verdict))


def _claimed(world: World) -> World:
    """An idle worker takes the saga; to whoever had it, this is the end of its lease."""
    reached = _started(_decides(world, tr.Claim(owner="worker", lease=LEASE)))
    return _with(reached, Worker(), Worker(_in_flight(reached.saga), True))


def _recorded(rules: Rules, world: World, worker: Worker) -> World:
    """The worker records what it heard, and goes on while it has the lease."""
    assert worker.heard is not None
    if rules.fence and not worker.current:
        return _with(world, worker, Worker())
    try:
        answer = tr.Answer(outcome=Outcome(verdict=worker.heard, error="no"))
        reached = _started(_decides(world, answer))
    except Illegal:
        return _with(world, worker, Worker())
    return _with(reached, worker, worker._replace(call=_in_flight(reached.saga), heard=None))


def _started(world: World) -> World:
    """The worker that has the lease starts its next call, if there is one."""
    if call_to_start(DEFINITION, world.saga) is None:
        return world
    return _decides(world, START)


def _in_flight(saga: SagaState) -> Request | None:
    step = saga.calling
    return Request(saga.run, step.name, step.calling) if step and step.calling else None


def _with(world: World, old: Worker, new: Worker) -> World:
    """The world in which one worker is changed; workers have no names, so their order is none."""
    rest = list(world.workers)
    rest.remove(old)
    rest.append(new if new.call else Worker())
    return world._replace(workers=tuple(sorted(rest, key=hash)))


def _decides(world: World, trigger: tr.Trigger) -> World:
    saga, fenced, started = _decided(world.saga, trigger)
    for before, call in started:
        _check_start(world, before, call)
    workers = tuple(w._replace(current=w.current and not fenced) for w in world.workers)
    return world._replace(saga=saga, workers=workers)


@cache
def _decided(
    saga: SagaState, trigger: tr.Trigger
) -> tuple[SagaState, bool, list[tuple[SagaState, at.AttemptStarted]]]:
    """The state that follows, whether its epoch is a new one, and the calls that were started."""
    state, started = saga, []
    for event in decide(DEFINITION, saga, trigger, NOW):
        if isinstance(event, at.AttemptStarted):
            started.append((state, event))
        state = evolve(state, event)
    steps = tuple(replace(step, error=step.error and "no") for step in state.steps)
    due_at = state.due_at and NOW
    same = replace(state, seq=0, epoch=0, due_at=due_at, reason="", waiting="", steps=steps)
    return same, state.epoch > saga.epoch, started


# The invariants of faults.md, by their numbers there


def _check(world: World) -> None:
    if len(set(world.effects)) < len(world.effects):
        raise Violation("3: an action or a compensation took effect twice")
    saga = world.saga
    if world.workers != (Worker(), Worker()) or world.late:
        return  # something may still come
    nets = {world.net(saga.run, name) for name in NAMES}
    if saga.status is SagaStatus.COMPLETED and nets != {1}:
        raise Violation("1: completed without the effect of each action")
    if saga.status is SagaStatus.COMPENSATED and nets != {0}:
        raise Violation("2: compensated with an effect left")
    if any(world.net(run, name) for run in range(1, saga.run) for name in NAMES):
        raise Violation("2: an effect of an earlier run is left")


def _check_start(world: World, saga: SagaState, call: at.AttemptStarted) -> None:
    place = NAMES.index(call.step)
    if call.call is CallKind.ACTION:
        if saga.direction is not Direction.FORWARD:
            raise Violation("8: an action is started by a saga that compensates")
        for earlier in NAMES[:place]:
            recorded = saga.step(earlier).status is StepStatus.COMPLETED
            if not recorded or world.net(saga.run, earlier) != 1:
                raise Violation("6: an action is started before the one before it succeeded")
    else:
        for later in NAMES[place + 1 :]:
            resolved = saga.step(later).effect is Effect.NONE
            if not resolved or world.net(saga.run, later):
                raise Violation("7: a compensation is started before a later one is resolved")
