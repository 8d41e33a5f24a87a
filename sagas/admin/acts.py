"""What people did, by where it is on record: events, bulk operations, proposals, Django's log."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.admin.models import ADDITION, DELETION, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db.models import F, QuerySet, Value
from django.db.models.functions import Concat
from django.urls import reverse
from django.utils.translation import gettext as _

from executors.secrets import redactor
from sagas.admin import links
from sagas.admin.approvals import DECISIONS
from sagas.admin.history import FOLLOWING
from sagas.admin.operations import TASKS
from sagas.admin.words import Look, event_look
from sagas.models import BULK_MARK, PEOPLE, ApiKey, BulkOperation, Proposal, Saga, SagaEvent

PAGE = 50
"""Acts of one kind on a page, or some more: those of one moment stay together."""

_MOST = 10_000
"""Events that one page reads at most, those of a bulk operation being one act."""

_BULK = re.compile(re.escape(BULK_MARK % "@").replace("@", "([0-9a-f-]{36})") + r"\Z")

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Act:
    """Something that a person did."""

    at: datetime
    who: str
    look: Look
    url: str = ""
    object: str = ""
    sagas: int = 0
    """How many sagas it was done to, as a part of a bulk operation."""

    why: str = ""

    @property
    def by(self) -> str:
        """The parameters that ask for all that this person did."""
        return urlencode({"who": self.who})


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What is asked for."""

    who: str
    before: datetime | None
    kind: str
    users: bool
    """Whether the reader may see what was done to users."""

    def of(self, rows: QuerySet[Any], at: str, who: str) -> QuerySet[Any]:
        """Those of the rows that are asked for, the latest first."""
        if self.before is not None:
            rows = rows.filter(**{f"{at}__lt": self.before})
        return (rows.filter(**{who: self.who}) if self.who else rows).order_by(f"-{at}", "-pk")


Found = tuple[list[Act], datetime | None]
"""Acts, the latest first, and until when they are all there are; None: to the beginning."""


def _whole(rows: list[T], at: str, *, more: bool) -> tuple[list[T], datetime | None]:
    """The rows without the last moment of which there may be more, and the moment they end at."""
    if not more:
        return rows, None
    last = getattr(rows[-1], at)
    kept = [row for row in rows if getattr(row, at) > last] or rows
    return kept, getattr(kept[-1], at)


def _latest(rows: QuerySet[Any], at: str) -> tuple[list[Any], datetime | None]:
    found = list(rows[: PAGE + 1])
    return _whole(found, at, more=len(found) > PAGE)


# --- Operations on sagas --------------------------------------------------------------------------


def events(asked: Asked) -> Found:
    """What people asked of sagas; all that one bulk operation did is one act."""
    events = asked.of(SagaEvent.objects.filter(PEOPLE), "at", "actor")
    events = events.exclude(kind__in=FOLLOWING).defer("data")
    rows: list[SagaEvent] = []
    more, several = True, set[object]()
    while more and len(rows) < _MOST and len(several) <= PAGE:
        size = max(PAGE + 1, len(rows))  # twice as many each time: offsets are read over
        some = list(events[len(rows) : len(rows) + size])
        rows += some
        several |= {_one(event) for event in some}
        more = len(some) == size
    kept, cut = _whole(rows, "at", more=more)
    return list(_together(kept)), cut


def _one(event: SagaEvent) -> object:
    """Equal for what may belong to one bulk operation."""
    named = _BULK.search(event.reason)
    return (named[1], event.actor, event.kind) if named else event.pk


def _together(events: Iterable[SagaEvent]) -> Iterator[Act]:
    events = list(events)
    named = {match[1] for event in events if (match := _BULK.search(event.reason))}
    bulks = {
        (str(bulk.pk), bulk.actor) for bulk in BulkOperation.objects.filter(pk__in=_ids(named))
    }
    acts: dict[object, Act] = {}
    single: list[SagaEvent] = []
    for event in events:
        match = _BULK.search(event.reason)
        if match is None or (match[1], event.actor) not in bulks:
            single.append(event)
            continue
        key = _one(event)
        if key in acts:
            acts[key] = replace(acts[key], sagas=acts[key].sagas + 1)
            continue
        acts[key] = Act(
            at=event.at,
            who=event.actor,
            look=event_look(event.kind, ""),
            url=reverse("admin:sagas_bulk", args=[match[1]]),
            sagas=1,
            why=event.reason.removesuffix(match[0]),
        )
    sagas = Saga.objects.only("type", "data").in_bulk({event.saga_id for event in single})
    yield from acts.values()
    for event in single:
        saga = sagas.get(event.saga_id)
        if saga is None:
            continue  # purged since its events were read
        yield Act(
            at=event.at,
            who=event.actor,
            look=event_look(event.kind, ""),
            url=links.saga(saga.pk),
            object=_name(saga.type, saga.pk),
            why=redactor(saga.type).text(event.reason, saga.data),
        )


def _ids(texts: Iterable[str]) -> Iterator[UUID]:
    for text in texts:
        try:
            yield UUID(text)
        except ValueError:
            continue  # somebody's own words


def _name(saga_type: str, saga_id: UUID) -> str:
    return f"{saga_type} …{str(saga_id)[-12:]}"


# --- Bulk operations, approvals, and the rest of the console --------------------------------------


def bulks(asked: Asked) -> Found:
    confirmed = BulkOperation.objects.filter(confirmed_at__isnull=False)
    rows, cut = _latest(asked.of(confirmed, "confirmed_at", "actor"), "confirmed_at")
    return [
        Act(
            at=bulk.confirmed_at,
            who=bulk.actor,
            look=Look(_("bulk operation confirmed"), "checklist", "primary"),
            url=reverse("admin:sagas_bulk", args=[bulk.pk]),
            object=str(TASKS[bulk.operation].look.text),
            why=bulk.reason,
        )
        for bulk in rows
    ], cut


def approvals(asked: Asked) -> Found:
    proposals = Proposal.objects.select_related("saga").defer("saga__data")
    proposed, cut = _latest(asked.of(proposals, "proposed_at", "proposed_by"), "proposed_at")
    decisions = proposals.filter(decided_at__isnull=False)
    decided, other = _latest(asked.of(decisions, "decided_at", "decided_by"), "decided_at")
    look = Look(_("proposed"), "front_hand", "warning")
    acts = [
        _of_proposal(each, each.proposed_at, each.proposed_by, look, each.reason)
        for each in proposed
    ]
    acts += [
        _of_proposal(each, each.decided_at, each.decided_by, DECISIONS[each.decision], each.comment)
        for each in decided
    ]
    return acts, max((each for each in (cut, other) if each is not None), default=None)


def _of_proposal(proposal: Proposal, at: datetime, who: str, look: Look, why: str) -> Act:
    operation = TASKS[proposal.operation].look.text
    return Act(
        at=at,
        who=who,
        look=look,
        url=reverse("admin:sagas_approval", args=[proposal.pk]),
        object=f"{operation}: {_name(proposal.saga.type, proposal.saga_id)}",
        why=why,
    )


def console(asked: Asked) -> Found:
    """Django's own log of the console: resets of breakers, users, groups and API keys."""
    entries = LogEntry.objects.select_related("user", "content_type")
    entries = entries.annotate(actor=Concat(Value("user:"), F(f"user__{User.USERNAME_FIELD}")))
    if not asked.users:
        entries = entries.filter(content_type=ContentType.objects.get_for_model(Saga))
    rows, cut = _latest(asked.of(entries, "action_time", "actor"), "action_time")
    return [
        Act(
            at=entry.action_time,
            who=entry.actor,
            look=_look(entry),
            object=entry.object_repr,
            why=entry.get_change_message(),
        )
        for entry in rows
    ], cut


def _look(entry: LogEntry) -> Look:
    if entry.content_type == ContentType.objects.get_for_model(Saga):
        return Look(_("circuit breaker"), "electric_bolt", "primary")
    if entry.content_type == ContentType.objects.get_for_model(ApiKey):
        if entry.action_flag == ADDITION:
            return Look(_("API key made"), "key")
        return Look(_("API key revoked"), "key_off", "danger")
    what = str(entry.content_type) if entry.content_type else ""
    if entry.action_flag == ADDITION:
        return Look(_("added: %(what)s") % {"what": what}, "add")
    if entry.action_flag == DELETION:
        return Look(_("deleted: %(what)s") % {"what": what}, "delete", "danger")
    return Look(_("changed: %(what)s") % {"what": what}, "edit")
