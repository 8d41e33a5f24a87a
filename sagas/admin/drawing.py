"""The Gantt chart as the template draws it: every position as text, every thing with its words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from sagas.admin.axis import Mark
from sagas.admin.course import Attempt, Result, Wait
from sagas.admin.gantt import Bar, Chart
from sagas.admin.shown import Shown
from sagas.admin.words import RESULTS, WAITS, Look, clock, span

# Heights that page.css gives the labels beside the chart.
_AXIS, _LANE, _ROW = 48, 24, 30
_BAR, _MARGIN = 16, 32
_ICON = 14
_WIDE = 96.0
"""A wait of this width has room for its length."""

_UNSURE = (Result.IN_DOUBT, Result.INTERRUPTED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """A line beside the chart: a lane's heading, or the name of a call."""

    text: Promise | str
    lane: bool
    anchor: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """A bar of the chart."""

    x: str
    y: str
    width: str
    height: str
    middle: str
    """Where its text stands."""

    end: str = ""
    line: str = ""
    """Of a wait: where its line ends, and how far down it is."""

    baseline: str
    tone: str
    title: str
    icon: str = ""
    text: str = ""
    href: str = ""
    unsure: bool = False
    running: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A vertical line at a time, with its text on the axis."""

    x: str
    text: str
    date: str = ""


@dataclass(kw_only=True, slots=True)
class Drawing:
    """The whole chart."""

    width: str
    height: str
    labels: list[Label] = field(default_factory=list)
    stripes: list[str] = field(default_factory=list)
    waits: list[Shape] = field(default_factory=list)
    attempts: list[Shape] = field(default_factory=list)
    breaks: list[Shape] = field(default_factory=list)
    marks: list[Line] = field(default_factory=list)
    now: str = ""
    """Where the present is, if something lasts until then."""

    @property
    def looks(self) -> list[Look]:
        """What the legend explains."""
        return [*RESULTS.values()]


def drawing(
    chart: Chart,
    names: dict[tuple[str, str], str],
    anchors: dict[tuple[str, str], str],
    now: datetime,
    shown: Shown,
) -> Drawing:
    """The chart; `names` and `anchors` are those of calls, by step and kind."""
    lanes = [
        (gettext_lazy("→ actions"), chart.forward),
        (gettext_lazy("← compensations"), chart.compensation),
    ]
    drawn = Drawing(width=_px(chart.axis.width + _MARGIN), height="")
    y = float(_AXIS)
    for heading, rows in lanes:
        if not rows:
            continue
        drawn.labels.append(Label(text=heading, lane=True))
        y += _LANE
        for row in rows:
            call = (row.step, row.call)
            name = names.get(call) or row.step
            drawn.labels.append(Label(text=name, lane=False, anchor=anchors.get(call, "")))
            drawn.stripes.append(_px(y + _ROW))
            drawn.waits += (_wait(bar, name, y, now, shown) for bar in row.waits)
            drawn.attempts += (_attempt(bar, name, y, now, shown) for bar in row.attempts)
            y += _ROW
    drawn.height = _px(y)
    drawn.breaks = list(_breaks(chart, y))
    drawn.marks = [_line(mark) for mark in chart.axis.marks()]
    if any(_lasts(bar) for bar in _all(chart)):
        drawn.now = _px(chart.axis.x(now))
    return drawn


def _all(chart: Chart) -> Iterator[Bar]:
    for row in (*chart.forward, *chart.compensation):
        yield from row.attempts
        yield from row.waits


def _lasts(bar: Bar) -> bool:
    ended = bar.what.ended if isinstance(bar.what, Attempt) else bar.what.end
    return ended is None


def _attempt(bar: Bar, name: str, y: float, now: datetime, shown: Shown) -> Shape:
    attempt = bar.what
    assert isinstance(attempt, Attempt)
    look = RESULTS[attempt.result]
    words = {
        "name": name,
        "number": attempt.number or 1,
        "result": look.text,
        "span": span(timedelta(seconds=bar.seconds)),
        "time": clock(attempt.started, now),
    }
    title = _("%(name)s, attempt %(number)d: %(result)s, %(span)s, from %(time)s") % words
    if attempt.error:
        title = _because(title, shown.text(attempt.error, attempt.answer))
    inside = bar.width >= _ICON + 4
    return Shape(
        x=_px(bar.x),
        y=_px(y + (_ROW - _BAR) / 2),
        width=_px(bar.width),
        height=_px(_BAR),
        middle=_px(bar.x + bar.width / 2 if inside else bar.x + bar.width + _ICON / 2 + 1),
        baseline=_px(y + _ROW / 2),
        tone=f"{look.tone}{'' if inside else ' saga-beside'}",
        title=title,
        icon=look.icon,
        href=f"#attempt-{attempt.seq}",
        unsure=attempt.result in _UNSURE,
        running=attempt.ended is None,
    )


def _because(what: str, why: str) -> str:
    return _("%(what)s: %(why)s") % {"what": what, "why": why}


def _wait(bar: Bar, name: str, y: float, now: datetime, shown: Shown) -> Shape:
    wait = bar.what
    assert isinstance(wait, Wait)
    look = WAITS[wait.kind]
    length = span(timedelta(seconds=bar.seconds))
    words = {"name": name, "what": look.text, "span": length}
    title = _("%(name)s: %(what)s, %(span)s") % words
    if wait.until is not None:
        title += ", " + _("until %(time)s") % {"time": clock(wait.until, now)}
    if wait.why:
        title = _because(title, shown.text(wait.why))
    return Shape(
        x=_px(bar.x),
        y=_px(y + (_ROW - _BAR) / 2),
        width=_px(bar.width),
        height=_px(_BAR),
        end=_px(bar.x + bar.width),
        line=_px(y + _ROW / 2 + 4),
        middle=_px(bar.x + bar.width / 2),
        baseline=_px(y + _ROW / 2),
        tone=wait.kind.value,
        title=title,
        icon=look.icon if bar.width >= _ICON else "",
        text=length if bar.width >= _WIDE else "",
        running=wait.end is None,
    )


def _breaks(chart: Chart, bottom: float) -> Iterator[Shape]:
    for part in chart.axis.parts:
        if part.broken:
            length = span(timedelta(seconds=part.seconds))
            yield Shape(
                x=_px(part.x),
                y=_px(_AXIS),
                width=_px(part.width),
                height=_px(bottom - _AXIS),
                middle=_px(part.x + part.width / 2),
                baseline=_px(_AXIS - 6),
                tone="",
                title=_("%(span)s, drawn short") % {"span": length},
                text=f"// {length} //",
            )


def _line(mark: Mark) -> Line:
    if mark.seconds:
        return Line(x=_px(mark.x), text=f"+{_length(mark.seconds)}")
    return Line(
        x=_px(mark.x),
        text=f"{mark.at:%H:%M:%S}",
        date=f"{mark.at:%Y-%m-%d}" if mark.new_day else "",
    )


def _length(seconds: float) -> str:
    """A round length of time, exactly."""
    if seconds < 0.9995:
        return f"{number_format(f'{seconds * 1000:g}')} ms"
    return (
        f"{number_format(f'{seconds:g}')} s" if seconds < 60 else span(timedelta(seconds=seconds))
    )


def _px(number: float) -> str:
    """For an attribute of SVG, whatever the language."""
    return f"{number:.1f}"
