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
from sagas.figures import Group
from sagas.models import Saga

MOST = 12
"""Kinds of failure that are told, those that came last; the list of failed sagas has all."""

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
    oldest: str = ""
    """How long ago the first of them was, where the line is of the last."""


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


def lines(groups: Iterable[Group], now: datetime) -> list[Line]:
    """What nobody works on first, then what failed, the last first, then what waits by itself.

    A line stands for all sagas of its kind: of those that failed it names the last, as that is
    what goes wrong now, of the others the one that has stood still for the longest.
    """
    groups = list(groups)
    doubtful = [
        _line(IN_DOUBT, saga, _doubt(saga), saga.started_at, now)
        for saga in figures.oldest_in_doubt(1)
    ]
    of_doubtful = sum(group.number for group in groups if group.in_doubt)
    more_url = links.sagas(links.IN_PROGRESS, links.question("in_doubt"))
    still = sorted(_standing_still(groups, now), key=lambda line: line.since)
    return [
        *(line for line in still if line.look is OVERDUE),
        *_failures(now),
        *(line for line in still if line.look is not OVERDUE),
        *(replace(line, more=max(0, of_doubtful - 1), more_url=more_url) for line in doubtful),
    ]


def _failures(now: datetime) -> list[Line]:
    found = figures.failures()
    there = figures.sagas(each.latest for each in found)
    told = []
    for each in found:
        saga = there.get(each.latest)
        if saga is None:
            continue
        looks = replace(FAILED, text=_("failed, in doubt")) if each.in_doubt else FAILED
        line = _line(looks, saga, saga.reason, saga.ended_at, now)
        if each.number > 1:
            of_these = links.failed_at(each.step, each.direction, in_doubt=each.in_doubt)
            url = links.sagas(of_these, saga_type=each.type)
            oldest = ago(each.since, now)
            line = replace(line, more=each.number - 1, more_url=url, oldest=oldest)
        told.append(line)
    return sorted(told, key=lambda line: line.since, reverse=True)[:MOST]


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
