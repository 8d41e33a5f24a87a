"""What is counted along a history: invariants 11, 12, 13, 17 and 18."""

from __future__ import annotations

from datetime import datetime, timedelta

from sagas.domain import attempts as at
from sagas.domain import events as ev
from sagas.domain.definition import RetryPolicy
from sagas.domain.state import Direction
from sagas.verify.case import Case, Verdicts, show
from sagas.verify.history import Call, Moment

_ROUNDING = timedelta(milliseconds=1)
_BY_SETTINGS = "(by this process's settings)"


def numbers_have_no_gaps(case: Case) -> Verdicts:
    """11: events are numbered 1, 2, 3 … and the row has the last number, so that status and event
    came with one commit. An event that was rewritten in its place is for 10 to find.
    """
    numbers = [fact.seq for fact in case.history.facts]
    for place, number in enumerate(numbers, start=1):
        if number != place:
            yield f"the history has gaps: event {place} is number {number}"
            return
        yield None
    row = case.history.row
    last = len(numbers)
    if row is not None:
        yield f"the row has seen {row.seq} events, there are {last}" if row.seq != last else None
    elif not numbers:
        yield "it has no events"


def epochs_grow(case: Case) -> Verdicts:
    """12: the epoch grows by one with each claim and else stays; a claim comes only when the lease
    or the wait before it has ended; what is recorded of calls is recorded by the worker that
    claimed last; the row has the last epoch. A write that was refused leaves no trace.
    """
    epoch, worker = 0, ""
    for fact in case.history.facts:
        claimed = fact.kind == "claimed"
        wanted = epoch + claimed
        epoch = fact.epoch
        worker = fact.actor if claimed else worker
        if fact.epoch != wanted:
            yield f"event {fact.seq} ({fact.kind}) has epoch {fact.epoch} where {wanted} is due"
        elif fact.kind.startswith("attempt_") and fact.actor != worker:
            yield f"event {fact.seq} is by {fact.actor!r}, the lease is held by {worker!r}"
        else:
            yield None
    for moment in case.moments:
        due = moment.before.due_at
        if isinstance(moment.event, ev.Claimed) and due is not None and due > moment.fact.at:
            yield f"event {moment.fact.seq} claims the saga before it is due at {show(due)}"
    row = case.history.row
    if row is not None and row.epoch != epoch:
        yield f"the row has epoch {row.epoch}, and the last event {epoch}"


def retries_are_patient(case: Case) -> Verdicts:
    """13: attempts count up from 1 in each round to no more than the definition's retries allow,
    and wait as long as it says, and a recorded Retry-After; the next comes no earlier.

    Held against the policy that this process has by its settings: if those of the service are or
    were others, that shows up here; what an answer asked for is due by any.
    """
    waits: dict[Call, datetime] = {}
    for moment in case.moments:
        event, call = moment.event, moment.call
        if isinstance(event, ev.RetryRequested):
            waits.clear()
        if call is None:
            continue
        if isinstance(event, at.AttemptStarted):
            yield _one_too_many(case, moment, event)
            until = waits.pop(call, None)
            if until is not None and moment.fact.at < until - _ROUNDING:
                yield f"event {moment.fact.seq} calls {call.step} before {show(until)}"
        elif isinstance(event, at.AttemptFailed) and event.retry_at is not None:
            waits[call] = event.retry_at
            yield _impatient(case, moment, event, event.retry_at)


def _one_too_many(case: Case, moment: Moment, event: at.AttemptStarted) -> str | None:
    before = next((s for s in moment.before.steps if s.name == event.step), None)
    number = 1 + before.attempts_of(event.call) if before else 1
    what = f"event {moment.fact.seq} is attempt {event.attempt} of {event.step}'s {event.call}"
    if event.attempt != number:
        return f"{what}, where {number} is due"
    policy = _policy(case, event.step)
    if policy is not None and event.attempt > 1 + policy.max_retries:
        return f"{what}, and {1 + policy.max_retries} are allowed {_BY_SETTINGS}"
    return None


def _impatient(
    case: Case, moment: Moment, event: at.AttemptFailed, retry_at: datetime
) -> str | None:
    policy = _policy(case, event.step)
    if policy is None:
        return None
    asked = _retry_after(event)
    wait = policy.wait_after(event.attempt, retry_after=asked)
    due = moment.fact.at + wait
    deadline = moment.before.deadline
    if deadline is not None and moment.before.direction is Direction.FORWARD:
        due = min(due, max(deadline, moment.fact.at))  # it turns the saga round, and is no retry
    if retry_at >= due - _ROUNDING:
        return None
    waits, needs = (retry_at - moment.fact.at).total_seconds(), wait.total_seconds()
    why = "(as the answer asked)" if wait == asked else _BY_SETTINGS
    return f"event {moment.fact.seq} waits {waits:.3f} s where {needs:.3f} s are due {why}"


def _retry_after(event: at.AttemptFailed) -> timedelta | None:
    seconds = (event.answer or {}).get("retry_after")
    return timedelta(seconds=seconds) if isinstance(seconds, int | float) else None


def _policy(case: Case, step: str) -> RetryPolicy | None:
    definition = case.history.definition
    steps = definition.steps if definition is not None else ()
    return next((known.retry for known in steps if known.name == step), None)


def definition_stays(case: Case) -> Verdicts:
    """17: type, version and steps are those that the saga was created with, no event is about
    another step, and the code's steps of its type and version are the same.
    """
    history = case.history
    names = [name for name, _ in history.steps]
    created = case.moments[0].event if case.moments else None
    if isinstance(created, ev.SagaCreated):
        same = list(created.steps) == names
        yield None if same else f"it was created with {list(created.steps)} and has {names}"
        was, is_ = (created.saga_type, created.version), (history.type, history.version)
        kept = created.saga_type is None or was == is_
        yield (
            None
            if kept
            else f"it was created as version {was[1]} of {was[0]!r}, not {is_[1]} of {is_[0]!r}"
        )
    for fact in history.facts:
        step = fact.data.get("step")
        if step is not None and step not in names:
            yield f"event {fact.seq} is about {step!r}, which is none of its steps"
    if history.definition is not None:
        coded = tuple((step.name, step.compensation) for step in history.definition.steps)
        what = f"the code's steps of version {history.version} of {history.type!r}"
        yield None if coded == history.steps else f"{what} are not those of this saga"


def waiting_is_free(case: Case) -> Verdicts:
    """18, in part: an attempt that the breaker held back is not spent: the next one has its
    number, and the participant saw nothing of it. That the fleet sends one probe at a time
    to a participant with an open breaker cannot be seen from data at rest.
    """
    held: dict[Call, int] = {}
    for moment in case.moments:
        event, call = moment.event, moment.call
        if isinstance(event, ev.RetryRequested | ev.CompensationTriggered):
            held.clear()  # a new round counts from 1
        if call is None:
            continue
        if isinstance(event, at.AttemptHeld):
            held[call] = event.attempt
            left = moment.after.step(event.step).attempts_of(event.call)
            spent = left != event.attempt - 1
            yield f"event {moment.fact.seq} leaves {left} attempts spent" if spent else None
        elif isinstance(event, at.AttemptStarted) and call in held:
            number = held.pop(call)
            what = f"attempt {number} of {call.step} was held back, the next has number"
            yield f"{what} {event.attempt}" if event.attempt != number else None
    for call in case.arrivals:
        kept = len(case.of(call, at.AttemptHeld))
        sent = len(case.of(call, at.AttemptStarted)) - kept
        if kept and len(case.arrivals[call]) > sent and not case.rules.duplicating_network:
            yield f"{case.key(call)} arrived, though its attempt was held back"
