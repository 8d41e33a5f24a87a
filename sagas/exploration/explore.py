"""Every scenario of a saga type, with a crash at every point of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.test.utils import override_settings

from executors.base import SagaExecutor
from executors.participants import participants
from sagas.domain import triggers as tr
from sagas.domain.state import SagaStatus
from sagas.exploration.boundaries import Point, When
from sagas.exploration.play import Clock, Played, Player, Scenario
from sagas.exploration.standin import Behaviour, StandIn
from sagas.services import validated
from sagas.verify import load
from sagas.verify.case import Case
from sagas.verify.entry import entry_of
from sagas.verify.history import Rules
from sagas.verify.invariants import violations


@dataclass
class Explored:
    """A scenario and its plays: the first without a crash, then one for each point."""

    scenario: Scenario
    plays: list[Played]

    @property
    def boundaries(self) -> int:
        """How many boundaries a run has that does not crash."""
        return len(self.plays[0].boundaries)

    @property
    def bad(self) -> list[Played]:
        """The plays in which something was wrong."""
        return [play for play in self.plays if play.problems]


def scenarios(executor: SagaExecutor) -> list[Scenario]:
    """Forward, retried, compensating, in a new run, and compensated after all."""
    definition = executor.definition
    names = [step.name for step in definition.steps]
    # The furthest point from which a saga still turns round; once a pivot is in doubt it does
    # not, and its refusal is a person's business.
    last = definition.pivot or names[-1]
    stops = {SagaStatus.FAILED} if definition.pivot else set()
    done, undone = frozenset({SagaStatus.COMPLETED}), frozenset({SagaStatus.COMPENSATED, *stops})
    found = [
        Scenario("forward", Behaviour(), done),
        Scenario("retried", Behaviour(lose_first_answers=True), done),
        Scenario("compensating", Behaviour(refuse=last), undone),
        Scenario("compensating, retried", Behaviour(last, lose_first_answers=True), undone),
        Scenario("a new run", Behaviour(refuse=last), done | stops, then=tr.Retry()),
    ]
    if definition.pivot is None:
        found.append(Scenario("compensated", Behaviour(), undone, then=tr.Compensate()))
    return found


def explore(
    executor: SagaExecutor, data: Any, *, only: str | None = None, every: int = 1
) -> Iterator[Explored]:
    """Play each scenario, or the one of that name: without a crash, then with one at each point,
    or at every n-th.

    Sagas are made in the present database and stay there; calls go to a stand-in for the
    participants. Raises InvalidData, or NoSample if no answer can be made up.
    """
    kept, clock = validated(executor, data), Clock()
    with StandIn(executor, clock.now) as stand_in, _calling(stand_in):
        player = Player(executor, kept, clock)
        for scenario in scenarios(executor):
            if only not in (None, scenario.name):
                continue
            explored = Explored(scenario, [_play(player, stand_in, scenario)])
            for point in _points(explored.boundaries)[::every]:
                explored.plays.append(_play(player, stand_in, scenario, point))
            yield explored


def _points(boundaries: int) -> list[Point]:
    moments: tuple[When, ...] = ("before", "after")
    return [Point(number, when) for number in range(1, boundaries + 1) for when in moments]


def _play(
    player: Player, stand_in: StandIn, scenario: Scenario, point: Point | None = None
) -> Played:
    stand_in.begin(scenario.behaviour)
    played = player.play(scenario, point)
    played.calls = len(stand_in.ledger)
    history = None if played.saga_id is None else load.one(played.saga_id)
    if history is not None:
        case = Case(history, map(entry_of, stand_in.ledger), Rules())
        played.problems += [f"{v.invariant}: {v.text}" for v in violations(case)]
    return played


@contextmanager
def _calling(stand_in: StandIn) -> Iterator[None]:
    """Have the participants' addresses be the stand-in's, and no breaker open meanwhile."""
    breaker = settings.SAGA_BREAKER | {"threshold": 10**6}
    with override_settings(
        SAGA_PARTICIPANTS=stand_in.urls, SAGA_SHARED_STATE=False, SAGA_BREAKER=breaker
    ):
        yield
    participants.cache_clear()
