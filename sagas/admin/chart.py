"""Sagas that ended, over time: the geometry of two charts, and the same as a table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from sagas.admin.words import grouped
from sagas.domain.state import SagaStatus
from sagas.tally import Ended

STEP = 10
"""Width of a slot in the chart's own units; its bar is narrower by the gap."""

GAP = 2
HEIGHT = 100
_LEAST = 1.5
"""Height of the least that is shown of a number that is not 0."""

STACK = (SagaStatus.COMPLETED, SagaStatus.COMPENSATED, SagaStatus.FAILED)
"""From the bottom to the top."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A rectangle of the chart."""

    status: str
    y: float
    height: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """What ended within one slot of time."""

    x: int
    span: str
    numbers: list[int]
    """In the order of the stack."""

    blocks: list[Block]
    rate: str
    """The share that did not complete; empty where nothing ended."""

    rate_height: float
    told: str

    @property
    def rate_y(self) -> float:
        """Where its bar of the failure rate begins."""
        return HEIGHT - self.rate_height


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """Two charts with one axis of time."""

    slots: list[Slot]
    width: int
    most: str
    """What the height of the first chart stands for."""

    times: list[str]
    """Below the axis, from its start to its end."""

    total: str
    rate: str
    """Empty if nothing ended."""

    since: datetime
    behind: bool


def chart(ended: Ended) -> Chart:
    """The charts of all types together."""
    totals: Counter[tuple[int, str]] = Counter()
    for (slot, _type, status), number in ended.counts.items():
        totals[slot, status] += number
    counts = [[totals[slot, status.value] for status in STACK] for slot in range(ended.slots)]
    most = max(map(sum, counts))
    slots = [_slot(ended, index, numbers, most) for index, numbers in enumerate(counts)]
    marks = (0, ended.slots // 2, ended.slots)
    total = sum(map(sum, counts))
    completed = sum(numbers[0] for numbers in counts)
    return Chart(
        slots=slots,
        width=ended.slots * STEP,
        most=grouped(most),
        times=[_time(ended, mark) for mark in marks],
        total=grouped(total),
        rate=_percent(total - completed, total),
        since=datetime.fromtimestamp(ended.start, UTC),
        behind=ended.behind,
    )


def _slot(ended: Ended, index: int, numbers: list[int], most: int) -> Slot:
    total = sum(numbers)
    span = f"{_time(ended, index)}–{_time(ended, index + 1)[-5:]}"
    rate = _percent(total - numbers[0], total)
    told = _("%(span)s: %(completed)d completed, %(compensated)d compensated, %(failed)d failed")
    words = {"span": span, "completed": numbers[0]}
    return Slot(
        x=index * STEP,
        span=span,
        numbers=numbers,
        blocks=_blocks(numbers, most),
        rate=rate,
        rate_height=_height(total - numbers[0], total),
        told=told % {**words, "compensated": numbers[1], "failed": numbers[2]},
    )


def _blocks(numbers: list[int], most: int) -> list[Block]:
    blocks, y = [], float(HEIGHT)
    for status, number in zip(STACK, numbers, strict=True):
        height = _height(number, most)
        y = max(y - height, 0.0)
        if height:
            blocks.append(Block(status=status.value, y=round(y, 2), height=height))
    return blocks


def _height(number: int, most: int) -> float:
    return round(max(number / most * HEIGHT, _LEAST), 2) if number else 0.0


def _percent(number: int, total: int) -> str:
    if not total:
        return ""
    share = number / total * 100
    digits = 0 if share >= 10 or not number else 1
    return _("%(number)s %%") % {"number": number_format(round(share, digits), digits)}


def _time(ended: Ended, slot: int) -> str:
    at = datetime.fromtimestamp(ended.start + slot * ended.width, UTC)
    long = ended.slots * ended.width > 86_400
    return f"{at:%m-%d %H:%M}" if long else f"{at:%H:%M}"
