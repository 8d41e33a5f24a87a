"""Retention: what ended long ago is deleted, and kept in an archive if that is wanted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from django.db import transaction
from django.db.models import Count, Min, Q, QuerySet

from sagas.engine.purge import Batch, Old, delete_batch
from sagas.models import BulkItem, BulkOperation
from sagas.services.archiving import Archive, bulk_document


def purge(
    old: Old,
    *,
    batch: int,
    limit: int | None = None,
    archive: Archive | None = None,
) -> Iterator[Batch]:
    """Delete those sagas, and tell of each transaction once it is committed.

    Nothing is deleted that is not in the archive before. Raises CannotArchive.
    """
    last, left = None, limit
    keep = archive.keep if archive else list
    while left is None or left > 0:
        size = batch if left is None else min(batch, left)
        done = delete_batch(old, after=last, size=size, keep=keep)
        if done.last is None:
            return
        last = done.last
        left = None if left is None else left - done.sagas
        yield done


def purge_bulk_operations(before: datetime, *, archive: Archive | None = None) -> Iterator[int]:
    """Delete the bulk operations that ended before then, or were previewed and never confirmed.

    Tells how many of their items went with each. Raises CannotArchive.
    """
    for bulk_id in list(_old_bulks(before).values_list("pk", flat=True)):
        with transaction.atomic():
            locked = _old_bulks(before).filter(pk=bulk_id).select_for_update(skip_locked=True)
            bulk = locked.first()
            if bulk is None:
                continue
            if archive is not None:
                archive.write([bulk_document(bulk)])
            items = BulkItem.objects.filter(bulk=bulk_id)
            number = items._raw_delete(items.db)
            bulk.delete()
        yield number


def would_go(old: Old) -> tuple[Counter[tuple[str, str]], datetime | None, int]:
    """How many sagas by type and status, when the first of them ended, and bulk operations."""
    kinds = old.sagas().order_by().values("type", "status")
    rows = list(kinds.annotate(n=Count("pk"), first=Min("ended_at")))
    counts = Counter({(row["type"], row["status"]): row["n"] for row in rows})
    first = min((row["first"] for row in rows), default=None)
    return counts, first, _old_bulks(old.before).count()


def _old_bulks(before: datetime) -> QuerySet[BulkOperation]:
    ended = Q(ended_at__lt=before)
    forgotten = Q(previewed_at__lt=before, confirmed_at=None, ended_at=None, due_at=None)
    return BulkOperation.objects.filter(ended | forgotten)
