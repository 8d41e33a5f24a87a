"""What may happen next in the small world."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from sagas.domain import attempts as at
from sagas.domain import rules as core_rules
from sagas.domain import triggers as tr
from sagas.domain.outcome import Verdict
from sagas.domain.rules import Call, Illegal
from sagas.domain.state import CallKind, Operation, SagaState, SagaStatus
from tests.domain.core import (
    AGAIN,
    ANSWERS,
    CLAIM,
    COMMANDS,
    EDIT,
    LATER,
    LOSE,
    PARK,
    STARTS,
    UNBUILDABLE,
    Core,
)
from tests.domain.given import NOW
from tests.domain.invariants import check_recorded, check_sent, check_start
from tests.domain.world import IDLE, Key, Request, Rules, Worker, World, arrives


class Move(NamedTuple):
    """Something that may happen, and where it leads."""

    label: str
    world: World
    by_itself: bool = True
    """Whether it happens without people, faults or the breaker: progress, if there is any."""


class Moves:
    """What may happen under the rules."""

    def __init__(self, rules: Rules, core: Core) -> None:
        self._rules = rules
        self._core = core

    def of(self, world: World) -> Iterator[Move]:
        """Everything that may happen next."""
        saga = self._core.sagas[world.saga]
        yield from self._people(world, saga)
        if saga.deadline == LATER and saga.status is SagaStatus.IN_PROGRESS:
            past = self._core.number(replace(saga, deadline=NOW))
            yield Move("the deadline passes", world._replace(saga=past), by_itself=False)
        if saga.owner and saga.due_at == LATER and saga.crashes <= 1 and world.faults:
            lost = self._decides(world.costs(1), LOSE)
            yield Move("the worker is taken for lost", lost, by_itself=False)
        if IDLE in world.workers and saga.due_at is not None:
            yield from self._taken(world, saga)
        for worker in dict.fromkeys(world.workers):
            if worker.call is not None:
                yield from self._crash(world, worker)
                yield from self._works(world, worker, worker.call)
        for request in sorted(world.late):
            gone = world._replace(late=world.late - {request})
            yield Move(f"{_name(request)} is lost", gone)
            for verdict, reached in arrives(self._rules, gone, request):
                yield Move(f"late {_name(request)} {verdict}", reached)

    def _people(self, world: World, saga: SagaState) -> Iterator[Move]:
        for operation in sorted(core_rules.allowed_operations(self._core.definition, saga)):
            first = operation is Operation.EXECUTE
            if first or world.commands:
                left = world._replace(commands=world.commands - (not first))
                yield Move(operation.value, self._decides(left, COMMANDS[operation]), False)
        if self._rules.mends and world.commands:
            left = world._replace(commands=world.commands - 1)
            for step in core_rules.doubts_to_resolve(saga):
                applied = self._became_of(world, saga, step)
                if applied is not None:
                    told = tr.Resolve(step=step, applied=applied, evidence="the ledger")
                    yield Move(f"{step}: applied={applied}", self._decides(left, told), False)
            if core_rules.may_edit(saga):
                yield Move("the data is edited", self._decides(left, EDIT), False)

    def _became_of(self, world: World, saga: SagaState, step: str) -> bool | None:
        """Whether the step's action took effect; None while nobody can know it."""
        key = self._key_of(saga, step, CallKind.ACTION, 0)
        if key in world.effects:
            return True
        workers = {worker.call for worker in world.workers if worker.call and worker.started}
        under_way = any(request.key == key for request in world.late | workers)
        return None if under_way else False

    # Claims, and the workers that lose the saga by them

    def _taken(self, world: World, saga: SagaState) -> Iterator[Move]:
        """An idle worker takes the saga, or does not know it; one that still has it is paused."""
        paused = any(worker.current for worker in world.workers) and saga.due_at == LATER
        if world.faults < paused:
            return
        left = world.costs(paused)
        yield Move("a worker that does not know it parks it", self._decides(left, PARK), False)
        claimed = self._decides(left, CLAIM)
        call = self._core.next(claimed.saga)
        label = "claim from a paused worker" if paused else "claim"
        if call is None or self._recorded(claimed, call) is not None:
            for note, reached in self._started(claimed):
                yield Move(label + note, self._goes_on(reached, IDLE), not paused)
        else:
            builds = Worker(self._built(claimed, call), started=False, current=True)
            yield Move(label, claimed.with_worker(IDLE, builds), not paused)

    def _crash(self, world: World, worker: Worker) -> Iterator[Move]:
        cost = worker.current and not self._rules.poison
        if world.faults >= cost:
            gone = world.costs(cost).with_worker(worker, IDLE)
            yield Move("crash", gone, by_itself=self._rules.poison)

    # What a worker does, step by step; between any two it may crash or lose its lease

    def _works(self, world: World, worker: Worker, call: Request) -> Iterator[Move]:
        fenced = self._rules.fence and not worker.current
        if worker.heard is not None:
            if fenced:
                yield Move("a stale answer is dropped", world.with_worker(worker, IDLE))
            else:
                yield from self._records(world, worker, worker.heard)
        elif worker.started and fenced:
            for verdict, reached in arrives(self._rules, world, call):
                label = f"stale {_name(call)}: {verdict}, dropped"
                yield Move(label, reached.with_worker(worker, IDLE))
        elif worker.started or not self._rules.started_first:
            yield from self._calls(world, worker, call)
        elif fenced:
            yield Move("a stale start is dropped", world.with_worker(worker, IDLE))
        else:
            yield from self._starts(world, worker, call)

    def _starts(self, world: World, worker: Worker, built: Request) -> Iterator[Move]:
        """The request is built and the start of its call committed, unless a command was first."""
        if not self._rules.seen:
            blind = at.AttemptStarted(
                step=built.key.step, call=built.key.kind, attempt=1, until=LATER
            )
            check_start(self._core.definition, self._core.sagas[world.saga], blind, world)
        call = self._core.next(world.saga)
        if call is None:
            yield Move("nothing is left to start", world.with_worker(worker, IDLE))
        elif self._key(world, call) != built.key:
            again = worker._replace(call=self._built(world, call))
            yield Move("builds anew after a command", world.with_worker(worker, again))
        else:
            yield from self._began(world, worker, "start", STARTS[built.body])
            yield from self._began(world, worker, "cannot be built", UNBUILDABLE)

    def _calls(self, world: World, worker: Worker, call: Request) -> Iterator[Move]:
        """No connection, the breaker, broken code, a time-out, an answer, or a double of it."""
        check_sent(world, call)
        name = _name(call)

        def hears(reached: World, verdict: Verdict) -> World:
            return reached.with_worker(worker, worker._replace(heard=verdict))

        yield Move(f"{name}: no connection", hears(world, Verdict.NOT_APPLIED))
        yield Move(f"{name}: held by the breaker", hears(world, Verdict.NOT_SENT), False)
        yield Move(f"{name}: broken", hears(world, Verdict.BROKEN))
        doubled = world.costs(1)._replace(late=world.late | {call})
        if world.faults:
            yield Move(f"{name}: time-out", hears(doubled, Verdict.IN_DOUBT), False)
        for verdict, reached in arrives(self._rules, world, call):
            yield Move(f"{name}: {verdict}", hears(reached, verdict))
            forgets = verdict is not Verdict.REFUSED or not self._rules.remembers
            if world.faults and forgets:
                twice = reached.costs(1)._replace(late=world.late | {call})
                yield Move(f"{name}: {verdict}, delivered twice", hears(twice, verdict), False)

    def _records(self, world: World, worker: Worker, heard: Verdict) -> Iterator[Move]:
        """The answer, and with it the start of the next call; or, if stopping, none."""
        try:
            yield from self._began(world, worker, f"record {heard}", ANSWERS[heard, False])
            stops = f"record {heard} and stop"
            yield from self._began(world, worker, stops, ANSWERS[heard, True])
        except Illegal:
            yield Move("nothing to record", world.with_worker(worker, IDLE))

    def _began(
        self, world: World, worker: Worker, label: str, trigger: tr.Trigger
    ) -> Iterator[Move]:
        for note, reached in self._started(self._decides(world, trigger)):
            yield Move(label + note, self._goes_on(reached, worker))

    # Commits

    def _started(self, world: World) -> Iterator[tuple[str, World]]:
        """The commit goes on with the start of the next call, if there is one."""
        call = self._core.next(world.saga)
        if call is None:
            yield "", world
        elif self._recorded(world, call) is not None:
            yield from self._started(self._decides(world, AGAIN))
        else:
            start = STARTS[self._built(world, call).body]
            yield from self._started(self._decides(world, start))
            for note, reached in self._started(self._decides(world, UNBUILDABLE)):
                yield f", {call.step} cannot be built{note}", reached

    def _decides(self, world: World, trigger: tr.Trigger) -> World:
        change = self._core.change(world.saga, trigger)
        recorded = world.recorded
        for before, start, after in change.started:
            check_start(self._core.definition, before, start, world)
            sent = self._in_flight(after)
            assert sent is not None
            recorded |= {sent}
        if recorded is not world.recorded:
            check_recorded(recorded)
        workers = world.workers
        if change.fenced:
            workers = tuple(worker._replace(current=False) for worker in workers)
        return world._replace(saga=change.saga, recorded=recorded, workers=workers)

    def _goes_on(self, world: World, worker: Worker) -> World:
        """The worker with the call that its commit has started, or with none."""
        saga = self._core.sagas[world.saga]
        call = self._in_flight(saga) if saga.owner else None
        goes_on = IDLE if call is None else Worker(call, started=True, current=True)
        if not (worker.current or worker == IDLE):
            goes_on = goes_on._replace(current=False)
        return world.with_worker(worker, goes_on)

    # Requests

    def _in_flight(self, saga: SagaState) -> Request | None:
        step = saga.calling
        if step is None or step.calling is None:
            return None
        kind, attempt = step.calling, step.attempts_of(step.calling)
        body = step.request_of(kind)
        return Request(self._key_of(saga, step.name, kind, attempt), body)  # type: ignore[arg-type]

    def _key(self, world: World, call: Call) -> Key:
        saga = self._core.sagas[world.saga]
        return self._key_of(saga, call.step, call.kind, call.attempt)

    def _key_of(self, saga: SagaState, step: str, kind: CallKind, attempt: int) -> Key:
        run = saga.run if self._rules.run_in_key else 1
        salt = attempt if kind is self._rules.new_key else 0
        return Key(run, step, kind, salt, saga.step(step).revision)

    def _recorded(self, world: World, call: Call) -> object | None:
        return self._core.sagas[world.saga].step(call.step).request_of(call.kind)

    def _built(self, world: World, call: Call) -> Request:
        """A request like no other that is around for this call."""
        key = self._key(world, call)
        workers = {worker.call for worker in world.workers if worker.call}
        used = {r.body for r in workers | world.recorded | world.late if r.key == key}
        return Request(key, min({*range(len(used) + 1)} - used))


def _name(request: Request) -> str:
    return f"{request.key.kind} {request.key.step}"
