"""How many sagas there are, by status and type, each number with the list behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from executors.registry import registry
from sagas.admin import links
from sagas.admin.chart import STACK
from sagas.admin.words import IN_DOUBT, STATUSES, Look, grouped
from sagas.domain.state import Direction, SagaStatus
from sagas.figures import CAP, Group, Resting
from sagas.tally import Ended

_PENDING, _FAILED = SagaStatus.PENDING.value, SagaStatus.FAILED.value
_IN_PROGRESS = SagaStatus.IN_PROGRESS.value

RETRYING = Look(_("waits to retry"), "replay", "warning")
COMPENSATING = Look(_("compensating"), "undo", "warning")

ALL = ""
"""In the place of a type: all of them."""

Counted = Mapping[str, Counter[str]]
"""Numbers by kind and type; `ALL` is the sum."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A number and the list of what it counts."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Row:
    """The numbers of one status, in the order of the types."""

    look: Look
    cells: list[Cell]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of numbers."""

    types: list[str]
    rows: list[Row]


def active(groups: Iterable[Group], resting: Iterable[Resting]) -> Table:
    """The sagas that have not come to their end, and those that failed."""
    kinds = {
        _PENDING: (STATUSES[_PENDING], links.status(_PENDING)),
        _IN_PROGRESS: (STATUSES[_IN_PROGRESS], links.IN_PROGRESS),
        "retrying": (RETRYING, links.question("retrying")),
        "compensating": (COMPENSATING, links.question("compensating")),
        "in_doubt": (IN_DOUBT, links.question("in_doubt")),
        _FAILED: (STATUSES[_FAILED], links.status(_FAILED)),
    }
    counted: dict[str, Counter[str]] = {name: Counter() for name in kinds}
    for group in groups:
        _add(counted[_IN_PROGRESS], group.type, group.number)
        if group.retrying:
            _add(counted["retrying"], group.type, group.number)
        if group.direction == Direction.COMPENSATING.value:
            _add(counted["compensating"], group.type, group.number)
        if group.in_doubt:
            _add(counted["in_doubt"], group.type, group.number)
    for rest in resting:
        _add(counted[rest.status], rest.type, rest.number)
        if rest.in_doubt:
            _add(counted["in_doubt"], rest.type, rest.number)
    full = {name for name in (_PENDING, _IN_PROGRESS, _FAILED) if counted[name][ALL] > CAP}
    if _IN_PROGRESS in full:
        full |= {"retrying", "compensating", "in_doubt"}
    if _FAILED in full:
        full |= {"in_doubt"}
    types = _types(counted)
    return Table(
        types,
        [
            Row(look, _cells(counted[name], types, parameters, full=name in full))
            for name, (look, parameters) in kinds.items()
        ],
    )


def finished(ended: Ended, window: str) -> Table:
    """The sagas that ended within the time."""
    counted: dict[str, Counter[str]] = {status.value: Counter() for status in STACK}
    for (_slot, saga_type, status), number in ended.counts.items():
        if status in counted:
            _add(counted[status], saga_type, number)
    types = _types(counted)
    return Table(
        types,
        [
            Row(STATUSES[status], _cells(numbers, types, links.ended(status, window)))
            for status, numbers in counted.items()
        ],
    )


def _add(numbers: Counter[str], saga_type: str, number: int) -> None:
    numbers[ALL] += number
    numbers[saga_type] += number


def _types(counted: Counted) -> list[str]:
    """All, those that the code knows, and those that there are sagas of."""
    there = {name for numbers in counted.values() for name in numbers if name != ALL}
    return [ALL, *sorted(there | set(registry.types()))]


def _cells(
    numbers: Counter[str], types: list[str], parameters: dict[str, str], *, full: bool = False
) -> list[Cell]:
    """`full`: the numbers are at least those, as counting stopped."""
    return [
        Cell(
            f"{grouped(min(numbers[name], CAP))}+"
            if full and numbers[name]
            else grouped(numbers[name]),
            links.sagas(parameters, saga_type=name),
        )
        for name in types
    ]
