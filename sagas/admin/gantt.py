"""The Gantt chart of a run: a lane of actions and one of compensations, a row for each call.

Plain Python without Django; positions are in CSS pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sagas.admin.axis import Axis, axis
from sagas.admin.course import Attempt, Course, Wait
from sagas.domain.state import CallKind

LEAST_BAR = 5.0
"""Width of the shortest attempts."""

Call = tuple[str, str]
"""A step's name and the kind of call."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """An attempt or a wait, from one place to another."""

    x: float
    width: float
    what: Attempt | Wait
    seconds: float
    """Its length, until now if it lasts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One step's actions, or its compensations."""

    step: str
    call: str
    attempts: list[Bar]
    waits: list[Bar]


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """The rows of both lanes on one axis."""

    forward: list[Row]
    compensation: list[Row]
    axis: Axis


def chart(course: Course, steps: Sequence[str], now: datetime) -> Chart | None:
    """The chart; None if nothing is there to be drawn. `steps` are in the order of actions."""
    waits = [_placed(wait, course.attempts, steps) for wait in course.waits]
    whole: list[Attempt | Wait] = [*course.attempts, *waits]
    if not whole:
        return None
    calls = [_bounds(each, now) for each in course.attempts]
    line = axis((at for each in whole for at in _bounds(each, now)), calls)
    action, compensation = CallKind.ACTION.value, CallKind.COMPENSATION.value
    known = {each.step: None for each in whole} | dict.fromkeys(steps)
    order = [*steps, *(name for name in known if name not in steps)]

    def rows(names: list[str], call: str) -> Iterator[Row]:
        for name in names:
            row = Row(
                step=name,
                call=call,
                attempts=[_bar(a, line, now) for a in course.attempts if _is(a, name, call)],
                waits=[_bar(w, line, now) for w in waits if _is(w, name, call)],
            )
            if row.attempts or row.waits:
                yield row

    return Chart(
        forward=list(rows(order, action)),
        compensation=list(rows(order[::-1], compensation)),
        axis=line,
    )


def _is(what: Attempt | Wait, step: str, call: str) -> bool:
    return (what.step, what.call) == (step, call)


def _placed(wait: Wait, attempts: list[Attempt], steps: Sequence[str]) -> Wait:
    """The wait at the call that follows it, or else at the one before."""
    if wait.step:
        return wait
    following = (each for each in attempts if each.started >= wait.start)
    first = steps[0] if steps else ""
    beside = next(following, attempts[-1] if attempts else None)
    if beside is None:
        return replace(wait, step=first, call=CallKind.ACTION.value)
    return replace(wait, step=beside.step, call=beside.call)


def _bounds(what: Attempt | Wait, now: datetime) -> tuple[datetime, datetime]:
    if isinstance(what, Attempt):
        start, end = what.started, what.ended
    else:
        start, end = what.start, what.end
    return start, max(start, end or now)


def _bar(what: Attempt | Wait, line: Axis, now: datetime) -> Bar:
    start, end = _bounds(what, now)
    x = line.x(start)
    width = max(line.x(end) - x, LEAST_BAR if isinstance(what, Attempt) else 0.0)
    return Bar(x=x, width=width, what=what, seconds=(end - start).total_seconds())
