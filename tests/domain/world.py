"""The parts of the small world that `explore` searches: rules, workers, network, ledgers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from sagas.domain.outcome import Verdict
from sagas.domain.state import CallKind, SagaState


@dataclass(frozen=True)
class Rules:
    """The defences outside the core, each of which may be taken away, and the bounds."""

    fence: bool = True
    """An answer is recorded only by a worker that has the saga's present epoch."""

    barrier: bool = True
    """A participant that was told to compensate refuses an action that comes later."""

    idempotent: bool = True
    """A participant applies an action once, however often it comes."""

    commands: int = 1
    """How many commands people send after execute."""

    faults: float = 2
    """How many leases are lost amid a call and how many calls time out, together; may be inf."""


class Request(NamedTuple):
    """A call to a participant, as its idempotency key identifies it."""

    run: int
    step: str
    kind: CallKind


class Worker(NamedTuple):
    """What a worker has in its memory."""

    call: Request | None = None
    current: bool = False
    """Whether its epoch is still the saga's."""

    heard: Verdict | None = None


class World(NamedTuple):
    """Everything there is: database, workers, network and ledgers."""

    saga: SagaState
    workers: tuple[Worker, ...]
    late: frozenset[Request]
    """Requests that timed out and may still arrive."""

    effects: tuple[Request, ...]
    """The participants' ledgers: what took effect, in order of arrival."""

    barred: frozenset[Request]
    """The actions that a participant will not apply any more."""

    commands: int
    faults: float

    def net(self, run: int, step: str) -> int:
        """Effective actions less effective compensations."""
        acted = self.effects.count(Request(run, step, CallKind.ACTION))
        return acted - self.effects.count(Request(run, step, CallKind.COMPENSATION))


def arrives(rules: Rules, world: World, request: Request) -> Iterator[tuple[Verdict, World]]:
    """The participant's answers: a "no" is its business, and it does not remember saying it."""
    done = world._replace(effects=(*world.effects, request))
    action = request._replace(kind=CallKind.ACTION)
    if request.kind is CallKind.COMPENSATION:
        undone = done if world.net(request.run, request.step) > 0 else world
        yield Verdict.SUCCEEDED, undone._replace(barred=world.barred | {action})
        yield Verdict.REFUSED, world
    elif request in world.effects and rules.idempotent:
        yield Verdict.SUCCEEDED, world
    elif request in world.barred and rules.barrier:
        yield Verdict.REFUSED, world
    else:
        yield Verdict.SUCCEEDED, done
        yield Verdict.REFUSED, world
