"""A small world around the core, searched breadth-first: every order of every fault in it.

Two workers drive one saga. A worker may crash or be paused beyond its lease at any point: while
it builds a request, after the commit and before the call, between the effect and the record. A
request may not connect, be answered, be delivered twice, or time out; what timed out or was
doubled may still arrive at any later time, or never. The breaker may hold a call, the saga's code
may fail, a deployment may not know the saga, a worker may stop in good order. People send a few
commands at any time. Of time there is only this: a lease, a wait and the deadline may each end as
soon as they began.

    python -m tests.domain.explore --steps 3 --commands 2 --faults 3
"""

from __future__ import annotations

import argparse
import resource
import time
from array import array
from collections import deque
from typing import NamedTuple

from sagas.domain.state import ENDED, SagaStatus
from tests.domain.core import Core
from tests.domain.invariants import check_world
from tests.domain.moves import Move, Moves
from tests.domain.scenarios import DEFINITIONS
from tests.domain.world import IDLE, Rules, Violation, World


class Found(NamedTuple):
    """What a search saw."""

    worlds: int
    sagas: int
    complete: bool
    """Whether no world is left, rather than the limit reached."""


class Search:
    """A breadth-first search. Worlds that were seen are kept as 64-bit fingerprints only."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._core = Core(rules.definition)
        self._moves = Moves(rules, self._core)
        self._numbers: dict[int, int] = {}
        self._prints = array("q")
        self._parents = array("q")
        self._edges = array("q")
        """The moves that happen by themselves, as pairs of numbers of worlds."""

    def run(self) -> Found:
        """Look at each world that can be reached. Raises Violation with the way to a bad one."""
        first = World(
            saga=self._core.created(),
            recorded=frozenset(),
            workers=(IDLE, IDLE),
            late=frozenset(),
            effects=frozenset(),
            barred=frozenset(),
            commands=self._rules.commands,
            faults=self._rules.faults,
        )
        self._number(first, -1)
        frontier = deque([first])
        number = -1
        while frontier and number < self._rules.limit:
            world, number = frontier.popleft(), number + 1
            try:
                for move in self._look(world):
                    known = len(self._prints)
                    reached = self._number(move.world, number)
                    if reached == known:
                        frontier.append(move.world)
                    if move.by_itself:
                        self._edges.extend((number, reached))
            except Violation as violation:
                way = "; ".join(self._way(first, number))
                raise Violation(f"{violation} after: {way}") from None
        if not frontier:
            self._check_ends(first)
        return Found(number + 1, len(self._core.sagas), not frontier)

    def _look(self, world: World) -> list[Move]:
        saga = self._core.sagas[world.saga]
        check_world(self._rules.definition, saga, world)
        moves = list(self._moves.of(world))
        stands = saga.status in ENDED or saga.status is SagaStatus.PENDING
        if not stands and not any(move.by_itself for move in moves):
            raise Violation("21: nothing will ever happen to it")
        return moves

    def _number(self, world: World, parent: int) -> int:
        print_ = hash(world)
        number = self._numbers.setdefault(print_, len(self._prints))
        if number == len(self._prints):
            self._prints.append(print_)
            self._parents.append(parent)
        return number

    def _way(self, world: World, number: int) -> list[str]:
        """The labels of the moves from the first world to that one, which are made again."""
        numbers: list[int] = []
        while number > 0:
            numbers.insert(0, number)
            number = self._parents[number]
        labels = []
        for wanted in numbers:
            moves = self._moves.of(world)
            move = next(m for m in moves if hash(m.world) == self._prints[wanted])
            labels.append(move.label)
            world = move.world
        return labels

    def _check_ends(self, first: World) -> None:
        """What happens by itself comes to an end: no world leads back to itself so."""
        pending = array("q", bytes(8 * len(self._prints)))
        starts = array("q", bytes(8 * (len(self._prints) + 1)))
        for index in range(0, len(self._edges), 2):
            starts[self._edges[index] + 1] += 1
            pending[self._edges[index + 1]] += 1
        for index in range(1, len(starts)):
            starts[index] += starts[index - 1]
        free = [number for number, count in enumerate(pending) if count == 0]
        for number in free:  # it grows while it is read
            for index in range(starts[number], starts[number + 1]):
                to = self._edges[2 * index + 1]
                pending[to] -= 1
                if pending[to] == 0:
                    free.append(to)
        if len(free) < len(self._prints):
            number = next(number for number, count in enumerate(pending) if count)
            way = "; ".join(self._way(first, number))
            raise Violation(f"21: it goes on for ever after: {way}")


def explore(rules: Rules) -> Found:
    """Search the world of these rules."""
    return Search(rules).run()


def main() -> None:
    parser = argparse.ArgumentParser(description="search the small world around the core")
    parser.add_argument("--definition", choices=DEFINITIONS, default="plain")
    parser.add_argument("--steps", type=int, default=2, help="how many steps the saga has")
    parser.add_argument("--retries", type=int, default=1)
    parser.add_argument("--commands", type=int, default=1)
    parser.add_argument("--faults", type=int, default=2)
    parser.add_argument("--poison", action="store_true", help="crashes cost no fault")
    parser.add_argument("--mends", action="store_true", help="people also resolve and edit")
    parser.add_argument("--limit", type=int, default=10_000_000, help="worlds, then it gives up")
    given = parser.parse_args()
    rules = Rules(
        DEFINITIONS[given.definition](given.steps, given.retries),
        commands=given.commands,
        faults=given.faults,
        poison=given.poison,
        mends=given.mends,
        limit=given.limit,
    )
    began = time.perf_counter()
    found = explore(rules)
    took = time.perf_counter() - began
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(  # noqa: T201
        f"{found.worlds} worlds of {found.sagas} sagas,",
        "all there are" if found.complete else "and there are more",
        f"in {took:.1f} s: {found.worlds / took:.0f} worlds a second, {megabytes:.0f} MB",
    )


if __name__ == "__main__":
    main()
