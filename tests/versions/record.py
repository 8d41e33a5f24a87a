"""Writes what this version leaves in the database: `python -m tests.versions.record > X.Y.json`.

Into a SQLite file of its own. The states are those that `test_versions.py` names.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import django
from django.core import serializers
from django.core.management import call_command

LOST, HELD, NO, BROKEN, AWAY = "in_doubt", "not_sent", "refused", "broken", "not_applied"
DIES = ""
"""The worker is gone before it has an answer."""

SCRIPTS: dict[str, dict[str, list[str]] | None] = {
    "pending": None,
    "executed": None,
    "parked": None,
    "first call in flight": {"validate_inventory": [DIES]},
    "a call in flight": {"process_payment": [DIES]},
    "a second attempt in flight": {"process_payment": [LOST, DIES]},
    "waiting for a retry": {"process_payment": [LOST]},
    "held by the breaker": {"create_sale": [HELD]},
    "compensation in flight": {"update_inventory": [NO], "refund_payment": [DIES]},
    "compensation waiting": {"update_inventory": [NO], "refund_payment": [AWAY]},
    "in doubt and compensating": {"create_sale": [LOST] * 4, "cancel_sale": [DIES]},
    "cancel asked for": {"process_payment": [DIES]},
    "completed": {},
    "compensated": {"update_inventory": [NO]},
    "failed compensating": {"update_inventory": [NO], "release_inventory": [NO]},
    "failed forward": {"create_sale": [BROKEN]},
}


def record() -> dict[str, Any]:
    """The sagas' names by id, and all rows."""
    from sagas.models import Saga, SagaEvent, SagaStep

    names = {str(make(name, script)): name for name, script in SCRIPTS.items()}
    rows: list[dict[str, Any]] = []
    for model in (Saga, SagaStep, SagaEvent):
        rows += serializers.serialize("python", model.objects.order_by("pk"))
    return {"names": names, "rows": rows}


def make(name: str, script: Mapping[str, list[str]] | None) -> UUID:
    """A saga in the state of that name."""
    from executors.registry import registry
    from sagas import selectors, services
    from sagas.domain import triggers as tr
    from sagas.engine.engine import Engine
    from sagas.models import Saga
    from tests.versions.scripted import Dies, Nobody, Scripted

    executor = registry.newest("purchase_saga")
    assert executor is not None
    made = services.create_saga(
        "purchase_saga",
        executor.example,
        execute=name != "pending",
        actor="api:client",
        idempotency_key=f"k:{name}",
    ).saga
    catalog = Nobody() if name == "parked" else Scripted(executor, script or {})
    times = {"lease": timedelta(seconds=7), "park": timedelta(seconds=30)}
    engine = Engine(catalog, owner="host:1:abc", **times)
    while name not in ("pending", "executed"):
        try:
            engine.drive(made.id)
        except Dies:
            break
        due_at = Saga.objects.values_list("due_at", flat=True).get(pk=made.id)
        if due_at is None or catalog.is_through():
            break
        while selectors.database_now() < due_at:
            time.sleep(0.05)
    if name == "cancel asked for":
        engine.command(made.id, tr.Compensate(reason="changed my mind"), actor="api:c", reason="")
    return made.id


def plain(value: Any) -> str:
    """Times with all their digits, which Django's own JSON cuts."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def main() -> None:
    """Print the file, a row a line."""
    with tempfile.TemporaryDirectory() as folder:
        for name in [*os.environ]:
            if name.startswith(("DATABASE_", "DB_", "REDIS_", "SAGA_", "PARTICIPANT_")):
                del os.environ[name]
        os.environ |= {"SAGA_STATE_DIR": folder, "DJANGO_SETTINGS_MODULE": "sagaproject.settings"}
        django.setup()
        logging.disable(logging.CRITICAL)
        call_command("migrate", verbosity=0)
        found = record()
    sys.stdout.write(
        '{\n "names": ' + json.dumps(found["names"], sort_keys=True) + ',\n "rows": [\n'
    )
    style: dict[str, Any] = {"sort_keys": True, "separators": (",", ":"), "default": plain}
    sys.stdout.write(",\n".join("  " + json.dumps(row, **style) for row in found["rows"]))
    sys.stdout.write("\n ]\n}\n")


if __name__ == "__main__":
    main()
