"""What took effect, by the ledgers: invariants 1, 2 and 3."""

from __future__ import annotations

from collections.abc import Iterator

from sagas.domain import attempts as at
from sagas.domain.state import CallKind, Effect, SagaStatus, StepState
from sagas.verify.case import Case, Verdicts
from sagas.verify.entry import APPLIED, CHECKED
from sagas.verify.history import Call


def completed_took_effect_once(case: Case) -> Verdicts:
    """1: each step of a completed saga took effect once, and was not taken back.

    A step whose calls the participant calls `checked` needs no effect, and one that a person
    skipped may have none. Cannot see steps of
    participants whose ledger was not given.
    """
    if not (case.at_rest and case.has(SagaStatus.COMPLETED)):
        return
    for step in _covered_steps(case):
        action, undo = _pair(case.run, step)
        outcomes, undone = case.outcomes(action), case.outcomes(undo)
        if action in case.by_hand:
            yield None
        elif outcomes[APPLIED] > 1:
            yield f"{step} took place {outcomes[APPLIED]} times"
        elif not outcomes[APPLIED] and not outcomes[CHECKED]:
            yield f"{step} never took place"
        elif undone[APPLIED]:
            yield f"{step} was taken back"
        elif undone:
            yield f"{step} took place, and yet its compensation was called"
        else:
            yield None


def nothing_is_left(case: Case) -> Verdicts:
    """2: a run that was compensated left nothing, late arrivals included; and what a failed saga
    left is what its rows say: nothing where the effect is `none`, one effect where it is
    `applied`, either where that or its compensation is in doubt.

    What a person took back by hand is still in the ledgers, and not looked at. A step without a
    compensation at or past the pivot is not looked at: compensating does not
    promise to take it back.
    """
    failed = case.has(SagaStatus.FAILED)
    # Of a saga that moves, the ledgers may not have all that its row tells of.
    last = case.run if case.has(SagaStatus.COMPENSATED) else case.run - 1
    compensated = range(1, last + 1) if case.still else ()
    for run in compensated:
        for step in _covered_steps(case):
            if not _stays(case, step):
                yield _left_over(case, run, step)
    if failed and case.at_rest and case.history.row is not None:
        for row in case.history.row.steps:
            if case.covers(row.name):
                yield _as_the_row_says(case, row)


def effects_are_single(case: Case) -> Verdicts:
    """3: no action and no compensation took effect twice in a run."""
    for call in case.arrivals:
        times = case.outcomes(call)[APPLIED]
        yield f"{case.key(call)} took effect {times} times" if times > 1 else None


def _left_over(case: Case, run: int, step: str) -> str | None:
    action, undo = _pair(run, step)
    done, undone = case.outcomes(action)[APPLIED], case.outcomes(undo)[APPLIED]
    if done == undone or undo in case.by_hand or _taken_back_with_another(case, action):
        return None
    return f"{step} took place {done} times and was taken back {undone} times"


def _taken_back_with_another(case: Case, action: Call) -> bool:
    """Whether an action without a compensation was taken back by a later one of its run.

    Releasing a reservation also puts back the stock that the sale took out of it.
    """
    mine = case.arrivals.get(action, ())
    if not mine or case.arrivals.get(action._replace(kind=CallKind.COMPENSATION)):
        return False
    last = max(entry.seq for entry in mine if entry.outcome == APPLIED)
    return any(
        entry.outcome == APPLIED and entry.service == mine[0].service and entry.seq > last
        for call, entries in case.arrivals.items()
        if call.run == action.run and call.kind is CallKind.COMPENSATION
        for entry in entries
    )


def _as_the_row_says(case: Case, row: StepState) -> str | None:
    action, undo = _pair(case.run, row.name)
    outcomes = case.outcomes(action)
    left = outcomes[APPLIED] - case.outcomes(undo)[APPLIED]
    lost = any(
        getattr(moment.event, "in_doubt", True)
        for moment in case.of(undo, at.AttemptFailed, at.AttemptInterrupted)
    )
    if case.by_hand & {action, undo}:
        good = True
    elif row.effect is Effect.NONE:
        good = left == 0
    elif row.effect is Effect.IN_DOUBT or lost or (not outcomes[APPLIED] and outcomes[CHECKED]):
        good = left in (0, 1)
    else:
        good = left == 1
    return None if good else f"{row.name} left {left} effects, where its row says {row.effect}"


def _stays(case: Case, step: str) -> bool:
    definition = case.history.definition
    if definition is None or dict(case.history.steps).get(step):
        return False
    try:
        return step == definition.pivot or definition.is_after_pivot(step)
    except ValueError:  # not a step of that definition, which is another violation
        return False


def _covered_steps(case: Case) -> Iterator[str]:
    return (name for name, _ in case.history.steps if case.covers(name))


def _pair(run: int, step: str) -> tuple[Call, Call]:
    return Call(run, step, CallKind.ACTION), Call(run, step, CallKind.COMPENSATION)
