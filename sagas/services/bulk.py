"""Operations on many sagas: previewed one by one, confirmed as a whole, done one by one.

Workers do both, so that nothing is lost when one dies; each saga's operation and its result are
one transaction, so that none is done twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction

from sagas import selectors
from sagas.domain import triggers as tr
from sagas.domain.state import Operation
from sagas.engine.away import DATABASE_AWAY
from sagas.engine.whole import whole
from sagas.models import BULK_MARK, BulkItem, BulkOperation
from sagas.preview import Plan
from sagas.services.operating import (
    TWO_PERSONS,
    MovedOn,
    NeedsApproval,
    NotAllowed,
    needs_approval,
    perform,
    preview,
)
from sagas.services.reading import SagaNotFound

logger = logging.getLogger(__name__)

MOST_IN_BULK = 10_000
"""Sagas in one bulk operation."""

ACCEPTED, REFUSED = "accepted", "refused"

_LEASE = timedelta(seconds=30)
_CHUNK = 20
"""Sagas that are done before the lease is taken anew."""

_TRIGGERS: dict[str, Callable[[str], tr.Trigger]] = {
    Operation.EXECUTE.value: lambda reason: tr.Execute(),
    Operation.COMPENSATE.value: lambda reason: tr.Compensate(reason=reason),
    Operation.RETRY.value: lambda reason: tr.Retry(),
}


class TooMany(Exception):
    """More sagas than one bulk operation takes."""


class NotConfirmable(Exception):
    """The bulk operation is still being previewed, or was confirmed before."""


def draft_bulk(operation: Operation, saga_ids: Iterable[UUID], *, actor: str) -> BulkOperation:
    """Have the operation previewed for all these sagas. Raises TooMany; at least one is needed."""
    ids = list(dict.fromkeys(saga_ids))
    if not 0 < len(ids) <= MOST_IN_BULK:
        raise TooMany(f"a bulk operation takes 1 to {MOST_IN_BULK} sagas")
    now = selectors.database_now()
    with transaction.atomic():
        bulk = BulkOperation.objects.create(
            operation=operation.value, actor=actor, created_at=now, due_at=now
        )
        BulkItem.objects.bulk_create(BulkItem(bulk=bulk, saga_id=saga_id) for saga_id in ids)
    return bulk


def confirm_bulk(bulk_id: UUID, *, actor: str, reason: str) -> None:
    """Have it done, as it was previewed, in that person's name. Raises NotConfirmable."""
    ready = BulkOperation.objects.filter(
        pk=bulk_id, actor=actor, previewed_at__isnull=False, confirmed_at=None, ended_at=None
    )
    now = selectors.database_now()
    if not ready.update(confirmed_at=now, due_at=now, reason=reason):
        raise NotConfirmable(str(bulk_id))


def due_bulks() -> list[UUID]:
    """The bulk operations that a worker should look at."""
    due = BulkOperation.objects.filter(due_at__lte=selectors.database_now())
    return list(due.order_by("due_at").values_list("pk", flat=True)[:10])


def stop_bulk(bulk_id: UUID, *, why: str) -> None:
    """Leave alone all sagas to which it was not done yet."""
    now = selectors.database_now()
    BulkOperation.objects.filter(pk=bulk_id, ended_at=None).update(due_at=None, ended_at=now)
    BulkItem.objects.filter(bulk=bulk_id, result="").update(
        result=REFUSED, message=why, done_at=now
    )


def _may_still(bulk: BulkOperation) -> bool:
    """Whether who confirmed it is still here and has the permission."""
    user = User.objects.filter(username=bulk.actor.removeprefix("user:")).first()
    return user is not None and user.has_perm(f"sagas.{bulk.operation}")


def run_bulk(bulk_id: UUID, stopping: Callable[[], bool] = lambda: False) -> None:
    """Preview or perform what is left of it, unless another worker does."""
    while not stopping():
        due = BulkOperation.objects.filter(pk=bulk_id, due_at__lte=selectors.database_now())
        if not due.update(due_at=selectors.database_now() + _LEASE):
            return
        bulk = BulkOperation.objects.get(pk=bulk_id)
        confirmed = bulk.confirmed_at is not None
        if confirmed and not _may_still(bulk):
            stop_bulk(bulk_id, why=f"{bulk.actor} may no longer {bulk.operation} sagas")
            return
        left = BulkItem.objects.filter(bulk=bulk_id, result="")
        left = left.exclude(fingerprint="") if confirmed else left.filter(fingerprint="")
        chunk = list(left.values_list("pk", flat=True)[:_CHUNK])
        work = _do if confirmed else _foresee
        for item_id in chunk:
            try:
                whole(partial(work, item_id, bulk))
            except DATABASE_AWAY:
                raise
            except Exception as error:
                # One saga that nobody can read must not keep the others waiting for ever.
                logger.exception("bulk operation %s: one of its sagas went wrong", bulk_id)
                why = Exception(f"it went wrong: {type(error).__name__}; the log says more")
                BulkItem.objects.filter(pk=item_id, result="").update(**_refusal(why))
        now = selectors.database_now()
        mine = BulkOperation.objects.filter(
            pk=bulk_id, confirmed_at=bulk.confirmed_at, ended_at=None
        )
        if chunk:
            mine.update(due_at=now)
        elif confirmed:
            mine.update(due_at=None, ended_at=now)
        else:
            mine.update(due_at=None, previewed_at=now)


def _foresee(item_id: int, bulk: BulkOperation) -> None:
    item = BulkItem.objects.get(pk=item_id)
    try:
        plan = preview(item.saga_id, _TRIGGERS[bulk.operation](""))
        if needs_approval(plan.begins, Operation(bulk.operation)):
            raise NeedsApproval(TWO_PERSONS)
    except (SagaNotFound, NotAllowed, NeedsApproval) as error:
        found = _refusal(error)
    else:
        found = {
            "fingerprint": plan.fingerprint,
            "plan": in_short(plan),
            "ends": plan.ends.value,
        }
    # A worker that was paused meanwhile must not overwrite what another has found or done.
    BulkItem.objects.filter(pk=item_id, result="", fingerprint="").update(**found)


def in_short(plan: Plan) -> str:
    """The calls of a plan by their names, and how the saga then ends."""
    return " → ".join([*(call.name for call in plan.calls), plan.ends.value])


def _do(item_id: int, bulk: BulkOperation) -> None:
    """Perform the operation on one saga, with its result; nothing if that was done before."""
    trigger = _TRIGGERS[bulk.operation](bulk.reason)
    with transaction.atomic():
        free = BulkItem.objects.select_for_update().filter(pk=item_id, result="")
        item = free.first()
        if item is None:
            return
        try:
            perform(
                item.saga_id,
                trigger,
                actor=bulk.actor,
                reason=bulk.reason + BULK_MARK % bulk.id,
                fingerprint=item.fingerprint,
            )
        except (SagaNotFound, NotAllowed, MovedOn, NeedsApproval) as error:
            found = _refusal(error)
        else:
            found = {"result": ACCEPTED, "done_at": selectors.database_now()}
        for name, value in found.items():
            setattr(item, name, value)
        item.save(update_fields=[*found])


def _refusal(error: Exception) -> dict[str, Any]:
    """What an item says of a saga to which nothing was done."""
    why = "there is no such saga" if isinstance(error, SagaNotFound) else str(error)
    return {"result": REFUSED, "message": why, "done_at": selectors.database_now()}
