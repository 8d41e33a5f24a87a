"""What needs a person: the sagas that will not go on by themselves, or may not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from executors.registry import registry
from executors.secrets import redactor
from sagas import figures
from sagas.admin import links
from sagas.admin.parts import ago
from sagas.admin.words import IN_DOUBT, STATUSES, Look
from sagas.domain.state import SagaStatus
from sagas.figures import Group, Resting
from sagas.models import Saga

OLDEST = 5
"""Sagas of a kind that are named; the rest is a number with its list."""

FAILED = STATUSES[SagaStatus.FAILED.value]
OVERDUE = Look(gettext_lazy("due, and not taken"), "hourglass_disabled", "danger")
LATE = Look(gettext_lazy("past its deadline"), "timer_off", "warning")
UNKNOWN = Look(gettext_lazy("no code for it"), "code_off", "danger")
HELD = Look(gettext_lazy("held back"), "pause", "warning")


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A saga that needs a person, and how many more there are like it."""

    look: Look
    url: str
    saga_id: UUID
    type: str
    why: str
    since: datetime
    age: str
    more: int = 0
    more_url: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kind:
    """A way of standing still, by which sagas in progress are told together."""

    look: Look
    has: Callable[[Group], bool]
    key: Callable[[Group], object]
    """What a kind is further divided by."""

    since: Callable[[Saga], datetime | None]
    why: Callable[[Saga], Promise | str]
    filters: Callable[[Group], dict[str, str]]


_KINDS = (
    _Kind(
        look=OVERDUE,
        has=lambda group: group.overdue,
        key=lambda group: None,
        since=lambda saga: saga.due_at,
        why=lambda saga: _("no worker has taken it"),
        filters=lambda group: links.question("overdue"),
    ),
    _Kind(
        look=LATE,
        has=lambda group: group.past_deadline,
        key=lambda group: None,
        since=lambda saga: saga.deadline,
        why=lambda saga: saga.waiting or saga.reason or _("it should have finished"),
        filters=lambda group: links.question("late"),
    ),
    _Kind(
        look=UNKNOWN,
        has=lambda group: registry.find(group.type, group.version) is None,
        key=lambda group: (group.type, group.version),
        since=lambda saga: saga.started_at,
        why=lambda saga: saga.waiting or _("this version's code is not here"),
        filters=lambda group: links.question("parked"),
    ),
    _Kind(
        look=HELD,
        has=lambda group: (
            bool(group.waiting) and registry.find(group.type, group.version) is not None
        ),
        key=lambda group: group.waiting,
        since=lambda saga: saga.started_at,
        why=lambda saga: saga.waiting,
        filters=lambda group: links.waiting(group.waiting),
    ),
)


def lines(groups: Iterable[Group], resting: Iterable[Resting], now: datetime) -> list[Line]:
    """The oldest first; what has stood still for the longest is at the top."""
    groups = list(groups)
    failed = [
        _line(FAILED, saga, saga.reason, saga.ended_at, now)
        for saga in figures.oldest_failed(OLDEST)
    ]
    doubtful = [
        _line(IN_DOUBT, saga, _doubt(saga), saga.started_at, now)
        for saga in figures.oldest_in_doubt(OLDEST)
    ]
    of_failed = sum(rest.number for rest in resting if rest.status == SagaStatus.FAILED.value)
    of_doubtful = sum(group.number for group in groups if group.in_doubt)
    found = [
        *_and_more(failed, of_failed, links.status(SagaStatus.FAILED.value)),
        *_and_more(doubtful, of_doubtful, {**links.IN_PROGRESS, **links.question("in_doubt")}),
        *_standing_still(groups, now),
    ]
    return sorted(found, key=lambda line: line.since)


def _and_more(found: list[Line], number: int, filters: dict[str, str]) -> list[Line]:
    """The lines, the last of which says how many there are besides."""
    if number <= len(found) or not found:
        return found
    more = replace(found[-1], more=number - len(found), more_url=links.sagas(filters))
    return [*found[:-1], more]


def _doubt(saga: Saga) -> str:
    if saga.waiting or saga.reason:
        return saga.waiting or saga.reason
    return _("%(step)s may or may not have taken effect") % {"step": saga.current_step}


def _standing_still(groups: list[Group], now: datetime) -> list[Line]:
    alike: dict[tuple[int, object], list[Group]] = {}
    for number, kind in enumerate(_KINDS):
        for group in filter(kind.has, groups):
            alike.setdefault((number, kind.key(group)), []).append(group)
    oldest = {key: min(some, key=lambda group: group.oldest) for key, some in alike.items()}
    there = figures.sagas(group.oldest for group in oldest.values())
    found = []
    for (number, key), some in alike.items():
        kind, group = _KINDS[number], oldest[number, key]
        saga = there.get(group.oldest)
        if saga is None:
            continue
        line = _line(kind.look, saga, str(kind.why(saga)), kind.since(saga), now)
        more = sum(each.number for each in some) - 1
        url = links.sagas(kind.filters(group), saga_type=_one_type(some))
        found.append(replace(line, more=more, more_url=url))
    return found


def _one_type(groups: Iterable[Group]) -> str:
    types = {group.type for group in groups}
    return types.pop() if len(types) == 1 else ""


def _line(look: Look, saga: Saga, why: str, since: datetime | None, now: datetime) -> Line:
    since = since or saga.created_at
    return Line(
        look=look,
        url=links.saga(saga.id),
        saga_id=saga.id,
        type=saga.type,
        why=redactor(saga.type).text(why, saga.data),
        since=since,
        age=ago(since, now),
    )


def waiting_for(groups: Iterable[Group]) -> Mapping[str, int]:
    """How many sagas wait, by what they wait for."""
    numbers: dict[str, int] = {}
    for group in groups:
        if group.waiting:
            numbers[group.waiting] = numbers.get(group.waiting, 0) + group.number
    return numbers
