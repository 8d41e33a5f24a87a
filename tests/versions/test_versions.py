"""Sagas that an earlier version left in each state go on with this one.

A file holds the rows of `Saga`, `SagaStep` and `SagaEvent` as its version wrote them. Each release
adds one (`record.py` makes it), and none is ever changed: what is stored is for ever.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core import serializers

from executors.purchase import PurchaseSagaExecutor
from sagas.domain import triggers as tr
from sagas.domain.state import CallKind, SagaStatus, idempotency_key
from sagas.engine.engine import Engine
from sagas.engine.store import Loaded
from sagas.models import Saga, SagaEvent
from tests.engine.stage import state_of
from tests.versions.record import SCRIPTS
from tests.versions.scripted import Scripted

pytestmark = pytest.mark.django_db(transaction=True)

FILES = sorted(Path(__file__).parent.glob("*.json"))

ENDS = {
    "pending": "completed",
    "executed": "completed",
    "first call in flight": "completed",
    "a call in flight": "completed",
    "a second attempt in flight": "completed",
    "waiting for a retry": "completed",
    "held by the breaker": "completed",
    "parked": "completed",
    "failed forward": "completed",
    "compensation in flight": "compensated",
    "compensation waiting": "compensated",
    "in doubt and compensating": "compensated",
    "cancel asked for": "compensated",
    "failed compensating": "compensated",
    "completed": "compensated",
    "compensated": "completed",
}
"""Where each state leads when its saga is driven, or, if it has ended, when it is operated."""

OPERATED: dict[str, tr.Trigger] = {
    "pending": tr.Execute(),
    "failed forward": tr.Retry(),
    "failed compensating": tr.Retry(),
    "completed": tr.Compensate(),
    "compensated": tr.Retry(),
}


class Later(Engine):
    """An hour later all leases and waits are over."""

    def now(self, loaded: Loaded) -> datetime:
        return loaded.now() + timedelta(hours=1)


def load(path: Path) -> dict[str, UUID]:
    """Put the version's rows into the database; the sagas' ids by the states they are in."""
    kept = json.loads(path.read_text())
    for row in serializers.deserialize("json", json.dumps(kept["rows"])):
        if not isinstance(row.object, Saga):
            row.object.pk = None  # numbered by this database
        row.save()
    return {name: UUID(saga_id) for saga_id, name in kept["names"].items()}


def requests_of(saga_id: UUID) -> dict[tuple[str, str], Any]:
    """The requests in the saga's history, by step and kind of call."""
    return {
        (event.data["step"], event.data["call"]): event.data["request"]
        for event in SagaEvent.objects.filter(saga_id=saga_id, data__has_key="request")
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_sagas_of_an_earlier_version_go_on(path: Path) -> None:
    sagas = load(path)
    assert set(sagas) == set(ENDS) == set(SCRIPTS)
    for name, saga_id in sagas.items():
        recorded, before = requests_of(saga_id), state_of(saga_id)
        catalog = Scripted(PurchaseSagaExecutor(), {})
        lease = timedelta(seconds=7)
        engine = Later(catalog, owner="worker-now", lease=lease, park=lease)
        if name in OPERATED:
            engine.command(saga_id, OPERATED[name], actor="anna", reason="")
        engine.drive(saga_id)
        assert state_of(saga_id).status == ENDS[name], name
        sent = dict(catalog.sent)
        for (step, kind), request in recorded.items():
            key = idempotency_key(saga_id, before.run, step, CallKind(kind))
            assert sent.get(key, request["body"]) == request["body"], "the bytes of its version"
        lost = before.calling
        if lost is not None and lost.calling is not None and not before.cancel_requested:
            key = idempotency_key(saga_id, before.run, lost.name, lost.calling)
            assert key in sent, "what was in flight is sent again"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_files_hold_every_status(path: Path) -> None:
    load(path)
    assert set(Saga.objects.values_list("status", flat=True)) == set(SagaStatus)
