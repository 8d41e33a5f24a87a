"""Deleting sagas that ended long ago: each whole, in short transactions that nobody waits for.

A saga is chosen and locked by one statement, which sees it as it is at that moment: whoever writes
to it is passed over, and who comes later finds that there is no such saga.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from sagas.domain.state import ENDED, SagaStatus
from sagas.models import BulkItem, BulkOperation, Proposal, Saga, SagaEvent, SagaStep

Keep = Callable[[Collection[UUID]], Collection[UUID]]
"""Called before sagas are deleted, in the same transaction; returns those that may be."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Old:
    """Which sagas may go: they ended in one of these statuses, and nothing happened since."""

    statuses: Collection[SagaStatus]
    before: datetime

    def sagas(self) -> QuerySet[Saga]:
        """Without those that wait for an approval or for a bulk operation.

        Raises ValueError for a status in which a saga has not ended.
        """
        if not ENDED.issuperset(self.statuses):
            raise ValueError("only sagas that have ended may go")
        ended = Saga.objects.filter(
            status__in=[status.value for status in self.statuses],
            ended_at__lt=self.before,
            updated_at__lt=self.before,  # a person who edits a saga wants to go on with it
        )
        open_bulks = BulkOperation.objects.filter(ended_at=None)
        return ended.exclude(pk__in=_open_proposals().values("saga_id")).exclude(
            pk__in=BulkItem.objects.filter(bulk__in=open_bulks).values("saga_id")
        )


class Place(NamedTuple):
    """How far a purge is, in the order in which sagas ended."""

    ended_at: datetime | None
    saga_id: UUID


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """What one transaction deleted."""

    sagas: int = 0
    steps: int = 0
    events: int = 0
    proposals: int = 0
    kept: int = 0
    """Sagas that `keep` did not let go."""

    last: Place | None = None
    """Where the next batch goes on; None if there was nothing left."""


def delete_batch(old: Old, *, after: Place | None, size: int, keep: Keep) -> Batch:
    """Delete up to `size` of the sagas after a place, those that ended first before others."""
    with transaction.atomic():
        found = list(_after(old.sagas(), after).values_list("ended_at", "pk")[:size])
        if not found:
            return Batch()
        chosen = {pk for _, pk in found}
        # Proposed while the statement above ran; from here on the locks keep others out.
        chosen -= set(
            _open_proposals().filter(saga_id__in=chosen).values_list("saga_id", flat=True)
        )
        ids = keep(chosen)
        steps, events, proposals = (
            _delete(model.objects.filter(saga_id__in=ids))
            for model in (SagaStep, SagaEvent, Proposal)
        )
        return Batch(
            sagas=_delete(Saga.objects.filter(pk__in=ids)),
            steps=steps,
            events=events,
            proposals=proposals,
            kept=len(chosen) - len(ids),
            last=Place(*found[-1]),
        )


def _after(sagas: QuerySet[Saga], place: Place | None) -> QuerySet[Saga]:
    """Locked where the database can lock rows; elsewhere the transaction has all of it."""
    if place is not None:
        same = Q(ended_at=place.ended_at, pk__gt=place.saga_id)
        later = Q(ended_at__gt=place.ended_at)
        # The first condition, which says no more, is what the index is read by.
        sagas = sagas.filter(same | later, ended_at__gte=place.ended_at)
    return sagas.order_by("ended_at", "pk").select_for_update(skip_locked=True)


def _open_proposals() -> QuerySet[Proposal]:
    return Proposal.objects.filter(decision="")


def _delete(
    rows: QuerySet[Saga] | QuerySet[SagaStep] | QuerySet[SagaEvent] | QuerySet[Proposal],
) -> int:
    """One statement: `delete()` would read every saga, and look for what belongs to it."""
    return rows._raw_delete(rows.db) or 0  # None where there is nothing to ask for
