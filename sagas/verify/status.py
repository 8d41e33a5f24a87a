"""How a saga's status changed: invariants 9 and 10."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from itertools import groupby

from sagas.domain import attempts as at
from sagas.domain.codec import KINDS
from sagas.domain.mending import DataEdited
from sagas.domain.state import ENDED, Direction, Effect, Json, SagaState, SagaStatus, StepStatus
from sagas.verify.case import Case, Verdicts, show
from sagas.verify.history import Moment

Place = tuple[SagaStatus, Direction]

_FORWARD, _COMPENSATING = Direction.FORWARD, Direction.COMPENSATING
PENDING: Place = (SagaStatus.PENDING, _FORWARD)
FORWARD: Place = (SagaStatus.IN_PROGRESS, _FORWARD)
BACKWARD: Place = (SagaStatus.IN_PROGRESS, _COMPENSATING)
COMPLETED: Place = (SagaStatus.COMPLETED, _FORWARD)
COMPENSATED: Place = (SagaStatus.COMPENSATED, _COMPENSATING)
FAILED: Place = (SagaStatus.FAILED, _FORWARD)
STUCK: Place = (SagaStatus.FAILED, _COMPENSATING)

_WORK: Mapping[Place, Place] = {FORWARD: FORWARD, BACKWARD: BACKWARD}
EDGES: Mapping[str, Mapping[Place, Place]] = {
    "saga_created": {PENDING: PENDING},
    "execute_requested": {PENDING: FORWARD},
    "retry_requested": {FAILED: FORWARD, STUCK: BACKWARD, COMPENSATED: FORWARD},
    "compensate_requested": {
        place: place for place in (PENDING, FORWARD, COMPLETED, FAILED, STUCK)
    },
    "compensation_triggered": dict.fromkeys((FORWARD, COMPLETED, FAILED, STUCK), BACKWARD),
    "saga_completed": {FORWARD: COMPLETED},
    "saga_compensated": {PENDING: COMPENSATED, BACKWARD: COMPENSATED},
    "saga_failed": {FORWARD: FAILED, BACKWARD: STUCK},
    "doubt_resolved": {place: place for place in (*_WORK, FAILED, STUCK, COMPENSATED)},
    "step_skipped": {place: place for place in (*_WORK, FAILED, STUCK)},
    "data_edited": {place: place for place in (FAILED, STUCK, COMPENSATED)},
    **dict.fromkeys((kind for kind in KINDS if kind.startswith("attempt_")), _WORK),
    **dict.fromkeys(("claimed", "handed_back", "worker_lost", "parked"), _WORK),
}
"""Where each kind of event may be recorded, and where it leads: written by hand, beside `decide`,
so that the one can be held against the other."""

_WORKER = re.compile(r"[^:]+:\d+:[0-9a-f]{8}")
"""The name of a worker: machine, process, and something unique."""


def endings_are_left_by_people(case: Case) -> Verdicts:
    """9: a saga that had ended goes on only by a recorded retry or compensate whose actor is
    named and is no worker. Whether the actor is who they say cannot be seen here.
    """
    workers = {fact.actor for fact in case.history.facts if fact.kind == "claimed"}
    before: Moment | None = None
    for moment in case.moments:
        if moment.before.status in ENDED and moment.after.status not in ENDED:
            asked = moment if moment.fact.kind == "retry_requested" else before
            yield _who_asked(moment, asked, workers)
        before = moment


def _who_asked(moment: Moment, asked: Moment | None, workers: set[str]) -> str | None:
    left = f"event {moment.fact.seq} ({moment.fact.kind}) goes on from {moment.before.status}"
    if asked is None or asked.fact.kind not in ("retry_requested", "compensate_requested"):
        return f"{left}, which nobody asked for"
    actor = asked.fact.actor
    if not actor.strip():
        return f"{left}, and nobody is named"
    if actor in workers or actor == "system" or _WORKER.fullmatch(actor):
        return f"{left}, which the worker {actor!r} asked for"
    return None


def replay_gives_the_row(case: Case) -> Verdicts:
    """10: every event is allowed where it stands, and leads where the table of edges says; every
    answer is that of the call in flight; replaying all events gives the rows; each edit of the
    data began with what was there, and the row has the last; the times of start and end are
    those of the events. The rows' `current_step` is not looked at.
    """
    for moment in case.moments:
        yield _edge(moment) or _answers_a_call(moment) or _is_an_end(case, moment)
    if case.broken:
        yield case.broken
        return
    yield case.history.unreadable or None
    if case.history.row is None or not case.moments:
        return
    state = case.moments[-1].after
    for name, stored, replayed in _differences(case.history.row, state):
        yield f"the row has {name} {show(stored)}, and replaying gives {show(replayed)}"
    if case.history.in_doubt != state.in_doubt:
        yield f"the row has in_doubt {case.history.in_doubt}, and replaying gives otherwise"
    yield from _edits(case)
    yield from _times(case)


def _edge(moment: Moment) -> str | None:
    before = (moment.before.status, moment.before.direction)
    after = (moment.after.status, moment.after.direction)
    kind, seq = moment.fact.kind, moment.fact.seq
    if (kind == "saga_created") != (moment.before.seq == 0):
        return f"event {seq} ({kind}) stands where a saga's first event does or should"
    wanted = EDGES[kind].get(before)
    if wanted is None:
        return f"event {seq} ({kind}) is not allowed in {' '.join(before)}"
    if after != wanted:
        return f"event {seq} ({kind}) leads to {' '.join(after)}, not {' '.join(wanted)}"
    return None


def _answers_a_call(moment: Moment) -> str | None:
    event = moment.event
    if not isinstance(event, at.AttemptEvent):
        return None
    flying = moment.before.calling
    what = f"event {moment.fact.seq} ({moment.fact.kind})"
    if isinstance(event, at.AttemptStarted):
        return f"{what} while {flying.name} is in flight" if flying is not None else None
    if isinstance(event, at.AttemptBroken) and flying is None:
        return None  # its call was never built, so nothing was started
    if flying is None or flying.calling is None:
        return f"{what} answers no call"
    sent = (flying.name, flying.calling, flying.attempts_of(flying.calling))
    if sent != (event.step, event.call, event.attempt):
        return f"{what} answers another call than the one in flight, {flying.name}"
    return None


def _is_an_end(case: Case, moment: Moment) -> str | None:
    """Whether the event ends the saga before it is done."""
    steps, undo = moment.before.steps, dict(case.history.steps)
    if moment.fact.kind == "saga_completed":
        left = [step.name for step in steps if step.status is not StepStatus.COMPLETED]
    elif moment.fact.kind == "saga_compensated":
        left = [s.name for s in steps if undo.get(s.name) and s.effect is not Effect.NONE]
    else:
        return None
    return f"event {moment.fact.seq} ({moment.fact.kind}), but {left[0]} is left" if left else None


def _differences(row: SagaState, state: SagaState) -> Iterator[tuple[str, object, object]]:
    for name in (field.name for field in fields(SagaState) if field.name != "steps"):
        if getattr(row, name) != getattr(state, name):
            yield name, getattr(row, name), getattr(state, name)
    if [step.name for step in row.steps] != [step.name for step in state.steps]:
        yield "the steps", [s.name for s in row.steps], [s.name for s in state.steps]
        return
    for stored, replayed in zip(row.steps, state.steps, strict=True):
        for name in (field.name for field in fields(stored)):
            if getattr(stored, name) != getattr(replayed, name):
                yield f"{stored.name}'s {name}", getattr(stored, name), getattr(replayed, name)


def _edits(case: Case) -> Verdicts:
    """Whether the edits of the data follow one another, and lead to the row's."""
    left: tuple[int, Json] | None = None
    for moment in case.moments:
        if isinstance(moment.event, DataEdited):
            yield _follows(left, moment.event.before)
            left = moment.fact.seq, moment.event.data
    yield _follows(left, case.history.data)


def _follows(edit: tuple[int, Json] | None, data: Json) -> str | None:
    if edit is None or edit[1] == data:
        return None
    return f"event {edit[0]} edits the data, and what follows is other data"


def _times(case: Case) -> Verdicts:
    """Whether the saga began and ended when its events say."""
    created = case.moments[0].fact.at
    started: datetime | None = None
    ended: datetime | None = None
    for moment, commit in groupby(case.moments, key=lambda moment: moment.fact.at):
        moments = list(commit)
        before, after = moments[0].before.status, moments[-1].after.status
        if before is after:
            continue
        if after is SagaStatus.IN_PROGRESS:
            started, ended = moment, None
        elif after in ENDED:
            ended = moment
    for name, wanted in (("created", created), ("started", started), ("ended", ended)):
        stored = getattr(case.history, f"{name}_at")
        good = stored == wanted
        yield None if good else f"{name}_at is {show(stored)}, and by the events {show(wanted)}"
