"""Where the attempts and waits of a run are on the chart, and what its axis says."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from sagas.admin.axis import BREAK, WIDTH, Axis, axis
from sagas.admin.course import Attempt, Course, Result, Wait, WaitKind
from sagas.admin.gantt import LEAST_BAR, chart

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DAY = 86_400.0


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def line(*calls: tuple[float, float], bounds: tuple[float, ...] = ()) -> Axis:
    moments = [moment for call in calls for moment in call]
    return axis(map(at, (*bounds, *moments)), [(at(a), at(b)) for a, b in calls])


def lengths(drawn: Axis) -> list[tuple[float, bool]]:
    return [(part.seconds, part.broken) for part in drawn.parts]


@pytest.mark.parametrize(
    ("calls", "bounds", "parts"),
    [
        pytest.param([(0, 5), (8, 12)], (), [(12, False)], id="a short wait is drawn as it is"),
        pytest.param(
            [(0, 5), (3605, 3610)], (), [(5, False), (3600, True), (5, False)], id="a long wait"
        ),
        pytest.param(
            [(0, 0.02), (0.02, 3 * DAY)],
            (),
            [(0.02, False), (3 * DAY - 0.02, True)],
            id="a long call",
        ),
        pytest.param([], (0, DAY), [(DAY, False)], id="nothing but a wait"),
        pytest.param([(0, 7)], (), [(7, False)], id="nothing but a call"),
        pytest.param([(0, 1)], (1, 30, 60, 90), [(1, False), (89, True)], id="waits that meet"),
        pytest.param([(0, 0)], (), [(0, False)], id="no time at all"),
    ],
)
def test_what_dwarfs_the_rest_is_drawn_short(
    calls: list[tuple[float, float]], bounds: tuple[float, ...], parts: list[tuple[float, bool]]
) -> None:
    drawn = line(*calls, bounds=bounds)
    assert [(round(length, 6), broken) for length, broken in lengths(drawn)] == parts
    for part in drawn.parts:
        assert part.width == BREAK if part.broken else part.width >= 20


def test_positions_grow_with_time_and_stay_on_the_axis() -> None:
    drawn = line((0, 5), (3605, 3610), (3650, 3651))
    xs = [drawn.x(at(second)) for second in (-9, 0, 2.5, 5, 1800, 3605, 3610, 3651, 9999)]
    assert xs == sorted(xs)
    assert (xs[0], xs[1], xs[-1]) == (0, 0, drawn.width)
    assert xs[5] - xs[3] == pytest.approx(BREAK)


def test_unbroken_time_has_one_scale() -> None:
    drawn = line((0, 5), (3605, 3610))
    assert drawn.x(at(5)) == pytest.approx(WIDTH / 2)
    assert drawn.width == pytest.approx(WIDTH + BREAK)


@pytest.mark.parametrize("seconds", [0.004, 0.2, 3, 45, 600, 7200, 3 * DAY, 900 * DAY])
def test_marks_are_round_and_apart(seconds: float) -> None:
    marks = list(line((0, seconds)).marks())
    assert 4 <= len(marks) <= 12
    assert (marks[0].x, marks[0].seconds, marks[0].new_day) == (0, 0, True)
    xs = [mark.x for mark in marks]
    assert min(b - a for a, b in pairwise(xs)) >= 70
    step = marks[1].seconds
    assert [mark.seconds for mark in marks[1:]] == pytest.approx(
        [step * count for count in range(1, len(marks))]
    )


def test_each_part_begins_with_its_time_and_a_new_day_is_told() -> None:
    marks = [mark for mark in line((0, 5), (DAY, DAY + 5)).marks() if not mark.seconds]
    assert [(mark.at, mark.new_day) for mark in marks] == [(T0, True), (at(DAY), True)]
    marks = [mark for mark in line((0, 5), (3600, 3605)).marks() if not mark.seconds]
    assert [mark.new_day for mark in marks] == [True, False]


def attempt(step: str, start: float, end: float | None, call: str = "action") -> Attempt:
    return Attempt(
        seq=1,
        step=step,
        call=call,
        number=1,
        round=1,
        started=at(start),
        ended=None if end is None else at(end),
        result=Result.RUNNING if end is None else Result.SUCCEEDED,
    )


def wait(kind: WaitKind, start: float, end: float | None, step: str = "") -> Wait:
    call = "action" if step else ""
    return Wait(
        kind=kind, start=at(start), end=None if end is None else at(end), step=step, call=call
    )


def test_lanes_rows_and_their_order() -> None:
    course = Course(
        attempts=[
            attempt("a", 1, 2),
            attempt("b", 2, 3),
            attempt("b", 4, 5),
            attempt("c", 5, 6),
            attempt("b", 6, 7, "compensation"),
            attempt("a", 7, 8, "compensation"),
        ],
        waits=[wait(WaitKind.WORKER, 0, 1), wait(WaitKind.BACKOFF, 3, 4, "b")],
    )
    drawn = chart(course, ["a", "b", "c", "never"], at(99))
    assert drawn
    assert [(row.step, len(row.attempts), len(row.waits)) for row in drawn.forward] == [
        ("a", 1, 1),  # what names no step waits for the call that follows
        ("b", 2, 1),
        ("c", 1, 0),
    ]
    assert [row.step for row in drawn.compensation] == ["b", "a"]


def test_a_wait_after_the_last_call_is_drawn_beside_it() -> None:
    waiting = [wait(WaitKind.PERSON, 2, None)]
    drawn = chart(Course(attempts=[attempt("b", 1, 2)], waits=waiting), ["a", "b"], at(3))
    assert drawn
    assert [(row.step, len(row.waits)) for row in drawn.forward] == [("b", 1)]


def test_a_wait_before_any_call_is_the_first_steps() -> None:
    drawn = chart(Course(waits=[wait(WaitKind.PARKED, 0, None)]), ["a", "b"], at(3))
    assert drawn
    assert [row.step for row in drawn.forward] == ["a"]


def test_what_lasts_reaches_the_present() -> None:
    drawn = chart(Course(attempts=[attempt("a", 1, 2), attempt("b", 2, None)]), ["a", "b"], at(6))
    assert drawn
    bar = drawn.forward[1].attempts[0]
    assert bar.seconds == 4
    assert bar.x + bar.width == pytest.approx(drawn.axis.width)


def test_the_shortest_attempt_can_be_seen() -> None:
    drawn = chart(Course(attempts=[attempt("a", 0, 0), attempt("b", 0, 9)]), ["a", "b"], at(9))
    assert drawn
    assert drawn.forward[0].attempts[0].width == LEAST_BAR


def test_a_step_that_the_saga_does_not_have_is_drawn() -> None:
    drawn = chart(Course(attempts=[attempt("odd", 0, 1)]), ["a"], at(9))
    assert drawn
    assert [row.step for row in drawn.forward] == ["odd"]


def test_nothing_to_draw() -> None:
    assert chart(Course(), ["a"], T0) is None
