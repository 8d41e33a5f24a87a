"""A time axis with breaks: what dwarfs everything else is narrow, and says how long it is.

Plain Python without Django. Lengths of time are in seconds, positions in CSS pixels.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

WIDTH = 720.0
"""Of all unbroken parts together, before the shortest are widened."""

BREAK = 76.0
"""Width of a broken part."""

_LEAST = 20.0
"""Least width of an unbroken part."""

_APART = 76.0
"""Least distance of two marks."""

_QUIET, _BUSY = 2, 10
"""A time without a call, or with one, is broken if it is so often as long as the other calls."""

_STEPS = [
    *(size * unit for unit in (0.001, 0.01, 0.1) for size in (1, 2, 5)),
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200),
    *(86_400 * days for days in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)),
]


@dataclass(frozen=True, slots=True)
class Interval:
    """A time between two moments, with a call under way or without."""

    start: datetime
    end: datetime
    busy: bool

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A part of the axis."""

    start: datetime
    seconds: float
    x: float
    width: float
    broken: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A place on the axis: `seconds` after its part's start, which is told by the clock."""

    x: float
    at: datetime
    seconds: float
    new_day: bool = False


class Axis:
    """From moments to positions."""

    def __init__(self, parts: list[Part]) -> None:
        self.parts = parts
        self.width = parts[-1].x + parts[-1].width if parts else 0.0
        self._starts = [part.start for part in parts]

    def x(self, at: datetime) -> float:
        """Where the moment is."""
        part = self.parts[max(bisect_right(self._starts, at) - 1, 0)]
        passed = (at - part.start).total_seconds()
        share = min(max(passed / part.seconds, 0.0), 1.0) if part.seconds else 0.0
        return part.x + share * part.width

    def marks(self) -> Iterator[Mark]:
        """Each part begins with its time; within it, round lengths of time count from there."""
        drawn = [part for part in self.parts if not part.broken]
        exact = [part.width / part.seconds for part in drawn if part.width > _LEAST]
        step = next((s for s in _STEPS if exact and s * exact[0] >= _APART), None)
        day = None
        for part in drawn:
            yield Mark(x=part.x, at=part.start, seconds=0.0, new_day=part.start.date() != day)
            day = part.start.date()
            if step is None or part.width <= _LEAST:
                continue
            for count in range(1, int(part.seconds / step) + 1):
                x = part.x + count * step * part.width / part.seconds
                if x - part.x >= _APART and part.x + part.width - x >= _LEAST:
                    yield Mark(x=x, at=part.start, seconds=count * step)


def axis(bounds: Iterable[datetime], calls: Iterable[tuple[datetime, datetime]]) -> Axis:
    """The axis on which all bounds lie; the calls are never lost in a long wait."""
    intervals = _merged(sorted(set(bounds)), list(calls))
    broken = _broken(intervals)
    drawn = sum(each.seconds for each in intervals if each not in broken)
    parts: list[Part] = []
    x = 0.0
    for cut, group in _grouped(intervals, broken):
        seconds = sum(each.seconds for each in group)
        width = BREAK if cut else max(_LEAST, WIDTH * seconds / drawn if drawn else 0.0)
        parts.append(Part(start=group[0].start, seconds=seconds, x=x, width=width, broken=cut))
        x += width
    return Axis(parts)


def _merged(bounds: list[datetime], calls: list[tuple[datetime, datetime]]) -> list[Interval]:
    """The intervals between the bounds; quiet ones that meet are one."""
    merged: list[Interval] = []
    for start, end in pairwise(bounds):
        busy = any(begun <= start and end <= ended for begun, ended in calls)
        if merged and not busy and not merged[-1].busy:
            merged[-1] = Interval(merged[-1].start, end, busy=False)
        else:
            merged.append(Interval(start, end, busy))
    return merged or [Interval(at, at, busy=False) for at in bounds[:1]]


def _broken(intervals: list[Interval]) -> set[Interval]:
    busy = sorted((each for each in intervals if each.busy), key=lambda each: -each.seconds)
    rest = sum(each.seconds for each in busy)
    found: set[Interval] = set()
    for each in busy:
        others = rest - each.seconds
        if others <= 0 or each.seconds <= _BUSY * others:
            break
        found.add(each)
        rest = others
    quiet = (each for each in intervals if not each.busy)
    return found | {each for each in quiet if 0 < _QUIET * rest < each.seconds}


def _grouped(
    intervals: list[Interval], broken: set[Interval]
) -> Iterator[tuple[bool, list[Interval]]]:
    """Unbroken intervals that meet, together; each broken one by itself."""
    group: list[Interval] = []
    for each in intervals:
        if each not in broken:
            group.append(each)
            continue
        if group:
            yield False, group
        yield True, [each]
        group = []
    if group:
        yield False, group
