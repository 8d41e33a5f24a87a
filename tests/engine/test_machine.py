"""Random stories of a saga, through the real engine and the real database.

SAGA_MACHINE_EXAMPLES=1000 tells more of them, and looks for the shortest story that goes wrong,
which may take minutes.
"""

from __future__ import annotations

import os
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sagas import selectors
from sagas.domain import events as ev
from sagas.domain import triggers as tr
from sagas.domain.codec import decode
from sagas.domain.definition import Definition, RetryPolicy, StepDefinition
from sagas.domain.rules import Illegal
from sagas.domain.state import ENDED, SagaState, SagaStatus
from sagas.engine import store
from sagas.engine.writer import UnknownDefinition
from tests.domain.invariants import EDGES
from tests.engine.stage import state_of
from tests.engine.troupe import BUILDS, CALLS, SAVES, Troupe

pytestmark = pytest.mark.django_db(transaction=True)

LONG = "SAGA_MACHINE_EXAMPLES" in os.environ
EXAMPLES = int(os.environ.get("SAGA_MACHINE_EXAMPLES", "50"))
POLICY = RetryPolicy(max_retries=1)
PLAIN = (
    StepDefinition(name="book", compensation="unbook", retry=POLICY),
    StepDefinition(name="pay", compensation="unpay", retry=POLICY),
)
PIVOT = (
    StepDefinition(name="book", compensation="unbook", retry=POLICY),
    StepDefinition(name="pay", pivot=True, retry=POLICY),
    StepDefinition(name="tell", retry=POLICY),
)
COMMANDS: list[tr.Trigger] = [tr.Compensate(), tr.Retry()]
WANTED: dict[SagaStatus, tr.Trigger] = {
    SagaStatus.PENDING: tr.Execute(),
    SagaStatus.COMPLETED: tr.Compensate(),
    SagaStatus.COMPENSATED: tr.Retry(),
}
REACHED: Counter[str] = Counter()
"""The kinds of event and the cues that were met: stories that met none prove nothing."""


CUES = (
    [("build", cue) for cue in BUILDS] + [("call", c) for c in CALLS] + [("save", c) for c in SAVES]
)
mishaps = st.dictionaries(st.integers(0, 2), st.sampled_from(CUES), min_size=1, max_size=3)
"""At which build, call or save something goes wrong, and what."""


class SagaStory(RuleBasedStateMachine):
    """One saga, its workers, its participant, and everything that goes wrong between them."""

    @initialize(
        steps=st.sampled_from([PLAIN, PIVOT]),
        deadline=st.sampled_from([None, timedelta(seconds=20)]),
        executed=st.sampled_from([True, True, False]),
    )
    def create(
        self, steps: tuple[StepDefinition, ...], deadline: timedelta | None, executed: bool
    ) -> None:
        self.troupe = Troupe()
        self.troupe.definition = Definition(type="stage", version=1, steps=steps, deadline=deadline)
        self.saga_id = self.troupe.create(execute=executed)
        self.last = self.state

    @property
    def state(self) -> SagaState:
        return store.load(self.saga_id).state

    def asks(self, trigger: tr.Trigger) -> None:
        try:
            self.troupe.worker().command(self.saga_id, trigger, actor="anna", reason="")
        except (Illegal, UnknownDefinition):
            return

    @rule(mishaps=mishaps, command=st.sampled_from(COMMANDS), known=st.integers(0, 9))
    def it_goes_on(
        self, mishaps: dict[int, tuple[str, str]], command: tr.Trigger, known: int
    ) -> None:
        """If it has ended somebody wants more; then a worker comes, to whom this happens.

        The worker may be of another deployment, in which nobody knows the saga.
        """
        if self.last.due_at is None:
            self.asks(WANTED.get(self.last.status, command))
        self.troupe.known = known < 9
        self.troupe.cues = {(what, place): cue for place, (what, cue) in mishaps.items()}
        self.troupe.command = lambda: self.asks(command)
        self.waits(leases=True)
        with self.troupe.stands_before_the_database():
            self.troupe.drive(self.saga_id)
        self.troupe.cues.clear()
        self.troupe.known = True
        REACHED.update(self.troupe.met)
        self.troupe.met.clear()

    and_on = and_on_again = it_goes_on  # rules are chosen alike: this is what shall happen most

    def waits(self, *, leases: bool) -> None:
        """Until the saga is due; also if that is when the lease of a worker ends."""
        loaded = store.load(self.saga_id)
        due_at, now = loaded.state.due_at, self.troupe.worker().now(loaded)
        if due_at is not None and due_at > now and (leases or not loaded.state.owner):
            self.troupe.ahead += due_at - now

    @rule(seconds=st.sampled_from([0.5, 6, 30]))
    def time_passes(self, seconds: float) -> None:
        self.troupe.ahead += timedelta(seconds=seconds)

    @precondition(lambda self: self.last.status is SagaStatus.IN_PROGRESS)
    @rule(trigger=st.sampled_from(COMMANDS))
    def somebody_asks(self, trigger: tr.Trigger) -> None:
        self.asks(trigger)

    @precondition(lambda self: self.troupe.shop.late)
    @rule(refused=st.booleans())
    def a_late_request_arrives(self, refused: bool) -> None:
        self.troupe.shop.receives(self.troupe.shop.late.pop(0), no=refused)

    @invariant()
    def the_history_is_whole(self) -> None:
        self.nets()
        told = self.troupe.told
        assert len(told) == len({*told}), "a transition was told of twice"
        after = state_of(self.saga_id)  # gapless, and its replay is the row
        assert after.epoch >= self.last.epoch, "12: the epoch went back"
        self.last = after
        state, commands = SagaState(), {"execute_requested", "retry_requested"}
        commands |= {"compensate_requested"}
        asked = False
        for row in selectors.saga_events(self.saga_id):
            event = decode(row.kind, row.data)
            before, state = state, ev.evolve(state, event)
            assert row.epoch == state.epoch
            asked = row.kind in commands or (asked and before.status in ENDED)
            if state.status is not before.status:
                assert type(event) in EDGES[before.status, state.status], "10"
                assert asked or before.status not in ENDED, "9"
            REACHED[row.kind] += 1

    def nets(self) -> list[dict[str, int]]:
        """By run, what each step left at the participant."""
        names = [step.name for step in self.troupe.definition.steps]
        shop = self.troupe.shop
        runs = range(1, self.state.run + 1)
        return [{name: shop.net(self.saga_id, run, name) for name in names} for run in runs]

    def teardown(self) -> None:
        """Once faults stop the saga ends; and what then still arrives changes nothing."""
        if not hasattr(self, "saga_id"):
            return
        self.troupe.known = True
        self.drained()
        failed = self.state.status is SagaStatus.FAILED
        assert self.state.reason or not failed
        if failed:
            self.asks(tr.Compensate())
            self.drained()
            assert self.state.status is SagaStatus.COMPENSATED
        while self.troupe.shop.late:
            self.a_late_request_arrives(False)
        self.the_history_is_whole()
        self.the_ledger_is_what_the_saga_says()

    def drained(self) -> None:
        for _ in range(20):
            if self.state.due_at is None:
                break
            self.waits(leases=True)
            self.troupe.drive(self.saga_id)
        assert self.state.status in {*ENDED, SagaStatus.PENDING}, "21: it does not end"
        REACHED[self.state.status.value] += 1

    def the_ledger_is_what_the_saga_says(self) -> None:
        *earlier, now = self.nets()
        undoable = {step.name for step in self.troupe.definition.steps if step.compensation}
        if self.state.status is SagaStatus.COMPLETED:
            assert {*now.values()} == {1}, "1"
        elif self.state.status is SagaStatus.COMPENSATED:
            assert not any(now[name] for name in undoable), "2"
        else:
            assert not any(now.values())
        lasting = {*undoable, "pay"}
        assert not any(nets[name] for nets in earlier for name in lasting), "2"


@pytest.mark.timeout(120 + 10 * EXAMPLES)
def test_random_stories() -> None:
    phases = [Phase.explicit, Phase.reuse, Phase.generate] + [Phase.shrink] * LONG
    many = settings(
        max_examples=EXAMPLES,
        phases=phases,
        stateful_step_count=12,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    REACHED.clear()
    run_state_machine_as_test(SagaStory, settings=many)
    met = REACHED.keys()
    assert met >= {"completed", "compensated", "attempt_interrupted"}
    cues = {f"{what} {cue}" for what, cue in CUES}
    assert len(cues & met) > len(cues) / 2, "stories in which little goes wrong prove little"
