"""The order of the calls: invariants 6, 7 and 8, by the events and by the ledgers."""

from __future__ import annotations

from collections.abc import Iterator

from sagas.domain import attempts as at
from sagas.domain.state import CallKind, Direction, Effect, StepStatus
from sagas.verify.case import Case, Verdicts
from sagas.verify.history import Call, Moment

_ACTION, _COMPENSATION = CallKind.ACTION, CallKind.COMPENSATION


def actions_follow_success(case: Case) -> Verdicts:
    """6: an action is started, and first arrives, after the record that the actions of all
    earlier steps succeeded. The ledger's times are compared with the skew allowed; an arrival
    between the time of an event and its commit is not seen.
    """
    for moment, name in _starts(case, _ACTION):
        open_ = [
            step
            for step in _before(case, name)
            if _status(moment, step) is not StepStatus.COMPLETED
        ]
        yield (
            f"event {moment.fact.seq} starts {name} before {open_[0]} succeeded" if open_ else None
        )
    for call in _calls(case, _ACTION):
        for step in _before(case, call.step):
            yield _first_came_before(case, call, Call(call.run, step, _ACTION))


def compensations_follow_later_ones(case: Case) -> Verdicts:
    """7: a compensation is started, and first arrives, after the record that those of all later
    steps are resolved. Steps without a compensation are not waited for.
    """
    for moment, name in _starts(case, _COMPENSATION):
        open_ = [
            step
            for step in _after(case, name)
            if any(s.name == step and s.effect is not Effect.NONE for s in moment.before.steps)
        ]
        what = f"event {moment.fact.seq} compensates {name}"
        yield f"{what} before {open_[0]} is resolved" if open_ else None
    for call in _calls(case, _COMPENSATION):
        for step in _after(case, call.step):
            yield _first_came_before(case, call, Call(call.run, step, _COMPENSATION))


def actions_end_with_the_turn(case: Case) -> Verdicts:
    """8: no action is started once the saga compensates or was asked to; and none arrives after
    its own compensation unless an attempt of it was in doubt, and so may come late.

    The ledger does not say when a call was sent: one in doubt that arrives late is taken for
    one that was sent in time.
    """
    for moment, name in _starts(case, _ACTION):
        turned = moment.before.direction is not Direction.FORWARD or moment.before.cancel_requested
        what = f"event {moment.fact.seq} starts {name}"
        yield f"{what} after the saga was to compensate" if turned else None
    for call in _calls(case, _ACTION):
        undone = case.arrivals.get(call._replace(kind=_COMPENSATION))
        if not undone:
            continue
        place, first = undone[0].service, min(entry.seq for entry in undone)
        late = [
            entry for entry in case.arrivals[call] if entry.service == place and entry.seq > first
        ]
        sent = len(late) > case.doubts(call) and not case.rules.duplicating_network
        what = f"{case.key(call)} arrived after its compensation"
        yield f"{what}, though no attempt of it was in doubt" if sent else None


def _first_came_before(case: Case, call: Call, other: Call) -> str | None:
    """Whether the first arrival of the call came before the success of the other was recorded."""
    done = case.of(other, at.AttemptSucceeded)
    if not done:
        return None  # the events tell, if it had to be
    early = done[0].fact.at - case.arrivals[call][0].at
    if early <= case.rules.skew:
        return None
    what = f"{case.key(call)} arrived {early.total_seconds():.3f} s"
    return f"{what} before event {done[0].fact.seq} recorded the success of {other.step}"


def _starts(case: Case, kind: CallKind) -> Iterator[tuple[Moment, str]]:
    for moment in case.moments:
        if isinstance(moment.event, at.AttemptStarted) and moment.event.call is kind:
            yield moment, moment.event.step


def _calls(case: Case, kind: CallKind) -> Iterator[Call]:
    return (call for call in case.arrivals if call.kind is kind)


def _status(moment: Moment, name: str) -> StepStatus | None:
    return next((step.status for step in moment.before.steps if step.name == name), None)


def _before(case: Case, name: str) -> list[str]:
    names = [step for step, _ in case.history.steps]
    return names[: names.index(name)] if name in names else []


def _after(case: Case, name: str) -> list[str]:
    names = [step for step, _ in case.history.steps]
    with_compensation = {step for step, compensation in case.history.steps if compensation}
    later = names[names.index(name) + 1 :] if name in names else []
    return [step for step in later if step in with_compensation]
