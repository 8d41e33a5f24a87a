"""The parts of the small world that `explore` searches: rules, workers, network, ledgers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from sagas.domain.definition import Definition
from sagas.domain.outcome import Verdict
from sagas.domain.state import CallKind


class Violation(Exception):
    """An invariant does not hold; its number in `sagas.verify.invariants` comes first."""


@dataclass(frozen=True)
class Rules:
    """The saga type, the bounds, and the defences outside the core, each of which may be taken."""

    definition: Definition

    commands: float = 1
    """How many commands people send after the first execute."""

    faults: float = 2
    """How many workers crash or are paused beyond their lease, how many calls time out or are
    delivered twice, all together. What leads back to where it was costs nothing: the breaker
    holds a call, a deployment does not know the saga."""

    poison: bool = False
    """Workers crash as often as they like: the saga's own code kills them."""

    fence: bool = True
    """A worker writes only with the saga's present epoch."""

    seen: bool = True
    """A worker writes only what it decided from the last event."""

    started_first: bool = True
    """A call is sent after its start was committed."""

    barrier: bool = True
    """A participant that was told to compensate refuses an action that comes later."""

    idempotent: bool = True
    """A participant applies a key once, however often it comes."""

    remembers: bool = True
    """A participant that said no to a key says no to a second copy of the request."""

    run_in_key: bool = True
    """Each run has keys of its own."""

    mends: bool = False
    """People also say what became of a doubt, which is always true, and edit the data."""

    new_key: CallKind | None = None
    """Calls of this kind get a new key with each attempt."""

    limit: float = inf
    """Worlds after which the search gives up."""


class Key(NamedTuple):
    """What a participant knows a call by."""

    run: int
    step: str
    kind: CallKind
    salt: int = 0
    """Tells attempts apart where they wrongly have keys of their own."""

    revision: int = 0
    """How often it was built anew after an edit."""


class Request(NamedTuple):
    """A call to a participant."""

    key: Key
    body: int
    """Each time that a request is built it is another one."""


class Worker(NamedTuple):
    """What a worker has in its memory: nothing, a request that it builds, a call, an answer."""

    call: Request | None = None
    started: bool = False
    """Whether the start of the call is committed; until then it is being built."""

    current: bool = False
    """Whether its epoch is still the saga's."""

    heard: Verdict | None = None


IDLE = Worker()


class World(NamedTuple):
    """Everything there is: database, workers, network and ledgers."""

    saga: int
    """The saga's row, by its number in `Core`."""

    recorded: frozenset[Request]
    """The calls whose start was ever committed."""

    workers: tuple[Worker, ...]
    late: frozenset[Request]
    """Requests, or second copies of them, that may still arrive."""

    effects: frozenset[Key]
    """The participants' ledgers: what took effect."""

    barred: frozenset[Key]
    """The actions that a participant will not apply any more."""

    commands: float
    faults: float

    def net(self, run: int, step: str) -> int:
        """Effective actions less effective compensations."""
        mine = [key.kind for key in self.effects if key.step == step and key.run == run]
        return 2 * mine.count(CallKind.ACTION) - len(mine)

    def costs(self, faults: float) -> World:
        """The world with so many faults fewer to come."""
        return self._replace(faults=self.faults - faults) if faults else self

    def with_worker(self, old: Worker, new: Worker) -> World:
        """One worker is changed; workers have no names, so their order is none."""
        rest = list(self.workers)
        rest.remove(old)
        return self._replace(workers=tuple(sorted([*rest, new], key=_place)))


def _place(worker: Worker) -> tuple[object, ...]:
    call = worker.call or _NO_CALL
    return (call, worker.started, worker.current, worker.heard or "")


_NO_CALL = Request(Key(0, "", CallKind.ACTION), 0)


def arrives(rules: Rules, world: World, request: Request) -> Iterator[tuple[Verdict, World]]:
    """The participant's answers: a "no" is its business, and another attempt may be served."""
    key = request.key
    action = Key(key.run, key.step, CallKind.ACTION, revision=key.revision)
    if key in world.effects and rules.idempotent:
        yield Verdict.SUCCEEDED, world
        return
    if key.kind is CallKind.COMPENSATION:
        barred = world._replace(barred=world.barred | {action})
        yield Verdict.SUCCEEDED, _applied(barred, key) if action in world.effects else barred
    elif not (key in world.barred and rules.barrier):
        yield Verdict.SUCCEEDED, _applied(world, key)
    yield Verdict.REFUSED, world


def _applied(world: World, key: Key) -> World:
    if any(done[:3] == key[:3] for done in world.effects):
        raise Violation(f"3: {key.kind} {key.step} took effect twice")
    return world._replace(effects=world.effects | {key})
