"""Sagas whose rows no claim can read: they are stopped like those that no worker survives."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db.models.functions import Now

from sagas.domain.decide import MAX_CRASHES
from sagas.domain.events import Claimed, Event, SagaFailed, replay
from sagas.domain.state import SagaState, SagaStatus
from sagas.engine import rows
from sagas.engine.store import recorded
from sagas.models import Saga


def claim(saga_id: UUID, why: str, *, owner: str, lease: timedelta) -> None:
    """Count a claim of a saga whose rows give no state; after a few, stop it as failed.

    It is as if its worker had vanished each time; what can be read of it is left as it is.
    """
    wanted = Saga.objects.annotate(db_now=Now()).only("seq", "epoch", "due_at", "crashes")
    row = wanted.get(pk=saga_id)
    now = row.db_now
    if row.due_at is None or row.due_at > now:
        return
    before = SagaState(seq=row.seq, epoch=row.epoch, crashes=row.crashes)
    events: list[Event] = [Claimed(owner=owner, until=now + lease)]
    if row.crashes >= MAX_CRASHES:
        events.append(SagaFailed(reason=why))
    after = replay(events, before)
    columns = {
        name: getattr(after, name)
        for name in ("seq", "epoch", "owner", "due_at", "crashes", "waiting")
    }
    if after.status is SagaStatus.FAILED:
        columns |= {"status": after.status.value, "reason": after.reason, "ended_at": now}
    rows.write(
        rows.Change(
            saga_id=saga_id,
            seq=row.seq,
            epoch=row.epoch,
            saga=columns | {"updated_at": now},
            steps=(),
            events=recorded(before, events, owner, ""),
            at=now,
        )
    )
