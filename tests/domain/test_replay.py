"""Whatever happens to a saga, in whatever order: what holds after each step of a random walk."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sagas.domain import attempts as at
from sagas.domain import events as ev
from sagas.domain import triggers as tr
from sagas.domain.codec import KINDS, decode, encode
from sagas.domain.decide import decide
from sagas.domain.definition import Definition
from sagas.domain.mending import StepSkipped
from sagas.domain.outcome import Outcome, Verdict
from sagas.domain.rules import (
    Illegal,
    allowed_operations,
    call_to_skip,
    call_to_start,
    doubts_to_resolve,
    may_edit,
)
from sagas.domain.state import (
    CallKind,
    Direction,
    Effect,
    Json,
    Operation,
    SagaState,
    SagaStatus,
    StepStatus,
)
from tests.domain.anything import definitions, json_objects, outcomes, waits
from tests.domain.given import LEASE, NOW, seconds
from tests.domain.invariants import EDGES

COMMANDS: dict[Operation, tr.Trigger] = {
    Operation.EXECUTE: tr.Execute(),
    Operation.COMPENSATE: tr.Compensate(reason="asked"),
    Operation.RETRY: tr.Retry(),
}
SUCCESS = Outcome(verdict=Verdict.SUCCEEDED)
REACHED: Counter[str] = Counter()
"""How often each kind of event and each status was met: a walk that met none proves nothing."""


class SagaWalk(RuleBasedStateMachine):
    """A saga to which anything may happen at any time; the rules only make some likelier."""

    @initialize(definition=definitions(), executed=st.integers(0, 4))
    def create(self, definition: Definition, executed: int) -> None:
        self.definition, self.now = definition, NOW
        names = tuple(step.name for step in definition.steps)
        self.events: list[ev.Event] = [ev.SagaCreated(steps=names)]
        self.state = ev.replay(self.events)
        assert self.state.seq == 1
        self.tries: Counter[tuple[str, CallKind]] = Counter()
        """Attempts that nobody asked for, counted without the core's help."""

        if executed:  # or many walks would go nowhere
            self.happens(tr.Execute())

    def happens(self, trigger: tr.Trigger) -> bool:
        """Whether it was legal; if it was, each event it caused is checked and recorded."""
        try:
            caused = decide(self.definition, self.state, trigger, self.now)
        except Illegal:
            assert self.state == ev.replay(self.events), "Illegal leaves no trace"
            return False
        assert caused, "what is legal is recorded"
        for event in caused:
            before, self.state = self.state, ev.evolve(self.state, event)
            self.check_change(before, event, self.state)
            self.events.append(event)
            REACHED.update((encode(event)[0], self.state.status.value))
        return True

    @rule(operation=st.sampled_from(Operation))
    def somebody_asks(self, operation: Operation) -> None:
        allowed = operation in allowed_operations(self.definition, self.state)
        assert self.happens(COMMANDS[operation]) == allowed

    @precondition(lambda self: self.state.status is not SagaStatus.IN_PROGRESS)
    @rule(data=st.data())
    def somebody_asks_what_is_allowed(self, data: st.DataObject) -> None:
        allowed = sorted(allowed_operations(self.definition, self.state))
        if not allowed:
            return  # compensated, but with its pivot standing
        self.happens(COMMANDS[data.draw(st.sampled_from(allowed))])

    @precondition(lambda self: self.state.in_doubt or self.state.status is SagaStatus.FAILED)
    @rule(applied=st.booleans(), output=st.none() | json_objects)
    def somebody_finds_out(self, applied: bool, output: Json | None) -> None:
        doubtful = doubts_to_resolve(self.state)
        for step in self.state.steps:
            resolve = tr.Resolve(step=step.name, applied=applied, evidence="a", output=output)
            assert self.happens(resolve) == (step.name in doubtful)

    @precondition(
        lambda self: self.state.due_at is None or self.state.waiting or not self.state.owner
    )
    @rule(output=st.none() | json_objects)
    def somebody_skips_a_step(self, output: Json | None) -> None:
        stuck = call_to_skip(self.definition, self.state)
        for step in self.state.steps:
            may = stuck is not None and step.name == stuck.step
            if self.happens(tr.Skip(step=step.name, output=output)):
                assert may
                break
            assert not may

    @rule(data=json_objects)
    def somebody_edits_the_data(self, data: Json) -> None:
        may = may_edit(self.state)
        assert self.happens(tr.EditData(data=data, before={})) == may

    @precondition(lambda self: self.state.due_at is not None)
    @rule(late=waits)
    def a_worker_claims_when_due(self, late: timedelta) -> None:
        assert self.state.due_at is not None
        self.now = max(self.now, self.state.due_at + late)
        self.happens(tr.Claim(owner="worker", lease=LEASE))

    @rule()
    def a_worker_claims_now(self) -> None:
        self.happens(tr.Claim(owner="eager", lease=LEASE))

    @precondition(lambda self: self.state.due_at is not None)
    @rule(
        outcome=outcomes(),
        took=waits,
        spread=st.floats(0, 1, exclude_max=True),
        stopping=st.booleans(),
    )
    def the_next_call_is_answered(
        self, outcome: Outcome, took: timedelta, spread: float, stopping: bool
    ) -> None:
        if not self.state.owner:
            self.a_worker_claims_when_due(seconds(0))
        self.now += took
        self.the_worker_starts_its_call()
        self.happens(tr.Answer(outcome=outcome, spread=spread, hand_back=stopping))
        self.the_worker_starts_its_call()

    @rule()
    def the_worker_starts_its_call(self) -> None:
        may = call_to_start(self.definition, self.state) is not None
        assert self.happens(tr.Start(lease=LEASE, request={"body": "{}"})) == may

    @rule()
    def a_worker_is_lost(self) -> None:
        self.happens(tr.Lose(owner=self.state.owner))

    @rule()
    def the_call_cannot_be_built(self) -> None:
        may = call_to_start(self.definition, self.state) is not None
        assert self.happens(tr.Unbuildable(error="KeyError: 'amount'")) == may

    @precondition(lambda self: self.state.due_at is not None)
    @rule(calls=st.integers(1, 4))
    def all_goes_well_for_a_while(self, calls: int) -> None:
        for _ in range(calls):
            if self.state.due_at is not None:
                self.the_next_call_is_answered(SUCCESS, seconds(0), 0.0, False)

    @rule(outcome=outcomes())
    def somebody_answers(self, outcome: Outcome) -> None:
        self.happens(tr.Answer(outcome=outcome))

    @rule()
    def nobody_knows_the_definition(self) -> None:
        self.happens(tr.Park(reason="unknown", wait=seconds(60)))

    # What holds of each event

    def check_change(self, before: SagaState, event: ev.Event, after: SagaState) -> None:
        assert after.seq == before.seq + 1, "events are counted without gaps"
        assert after.epoch == before.epoch + isinstance(event, ev.Claimed), "only a claim fences"
        if after.status is not before.status:
            assert type(event) in EDGES[before.status, after.status]
        match event:
            case at.AttemptStarted(step=step, call=call):
                self.check_start(before, event)
                self.tries[step, call] += 1
                assert self.tries[step, call] <= 1 + self.definition.step(step).retry.max_retries
            case at.AttemptHeld(step=step, call=call):
                self.tries[step, call] -= 1
            case ev.RetryRequested() | ev.CompensateRequested():
                self.tries.clear()

    def check_start(self, state: SagaState, started: at.AttemptStarted) -> None:
        place = [step.name for step in state.steps].index(started.step)
        if started.call is CallKind.ACTION:
            assert state.direction is Direction.FORWARD, "no action after turning round"
            assert not state.cancel_requested
            assert not self.too_late(state)
            assert all(s.status is StepStatus.COMPLETED for s in state.steps[:place])
        else:
            assert state.direction is Direction.COMPENSATING
            assert state.steps[place].effect is not Effect.NONE
            assert self.open_effects(state) <= {s.name for s in state.steps[: place + 1]}
        assert started.attempt == state.steps[place].attempts_of(started.call) + 1

    def too_late(self, state: SagaState) -> bool:
        pivot = self.definition.pivot
        # By its effect, or by a person who saw to it.
        decided = pivot is not None and (
            state.step(pivot).effect is not Effect.NONE
            or state.step(pivot).status is StepStatus.COMPLETED
        )
        return state.deadline is not None and self.now >= state.deadline and not decided

    def open_effects(self, state: SagaState) -> set[str]:
        """The steps that are yet to be compensated."""
        undoable = {step.name for step in self.definition.steps if step.compensation}
        return {s.name for s in state.steps if s.effect is not Effect.NONE} & undoable

    # What holds after each trigger

    @invariant()
    def replaying_the_stored_events_gives_the_state(self) -> None:
        encoded = [list(encode(event)) for event in self.events]
        stored = json.loads(json.dumps(encoded, allow_nan=False))
        assert stored == encoded, "it is JSON to begin with"
        decoded = [decode(kind, data) for kind, data in stored]
        assert decoded == self.events
        assert ev.replay(decoded) == self.state

    @invariant()
    def at_most_one_call_is_in_flight_and_its_request_is_recorded(self) -> None:
        calling = [step for step in self.state.steps if step.calling is not None]
        assert len(calling) <= 1
        assert all(step.request_of(step.calling) for step in calling if step.calling)

    @invariant()
    def in_progress_it_is_due_some_time_and_otherwise_never(self) -> None:
        in_progress = self.state.status is SagaStatus.IN_PROGRESS
        assert (self.state.due_at is not None) == in_progress
        if not in_progress:
            assert (self.state.owner, self.state.calling) == ("", None)
            assert (self.state.cancel_requested, self.state.waiting) == (False, "")
            assert all(s.status is not StepStatus.IN_PROGRESS for s in self.state.steps)

    @invariant()
    def a_status_means_what_it_says(self) -> None:
        match self.state.status:
            case SagaStatus.FAILED:
                assert self.state.reason
            case SagaStatus.COMPENSATED:
                assert not self.open_effects(self.state)
            case SagaStatus.COMPLETED:
                skipped = {e.step for e in self.events if isinstance(e, StepSkipped)}
                left = {s.name for s in self.state.steps if s.effect is not Effect.APPLIED}
                assert left <= skipped
                assert {s.status for s in self.state.steps} == {StepStatus.COMPLETED}
            case SagaStatus.PENDING:
                assert len(self.events) == 1


def test_whatever_happens_to_a_saga() -> None:
    walks = settings(
        max_examples=100,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    REACHED.clear()
    missing = {*KINDS, *SagaStatus} - {"saga_created", "pending"}
    for _ in range(5):  # once nearly always; chance may leave something out
        run_state_machine_as_test(SagaWalk, settings=walks)
        if REACHED.keys() >= missing:
            return
    raise AssertionError(f"walks that never met {missing - REACHED.keys()} prove nothing")
