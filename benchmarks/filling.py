"""Makes sagas that are due at once: one is created, and copied by PostgreSQL.

python -m benchmarks.filling NUMBER [--messages]   # of the settings' database

Orders 1 to NUMBER; with --messages, each has its message as if a client had just created it.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import django

_NEW_ID = "(left(%s::text, 20) || lpad(to_hex(n), 12, '0'))::uuid"
_ORDER = "jsonb_set(data, '{order_id}', to_jsonb(n::text))"


def fill(number: int, *, messages: bool) -> None:
    """Create the sagas."""
    from django.db import connection

    from benchmarks.workload import order
    from sagas import actors, services
    from sagas.models import Saga, SagaEvent, SagaStep

    first = services.create_saga("bench_purchase", order(1), execute=True, actor="benchmark").id
    with connection.cursor() as cursor:
        for table, mark in ((Saga, "id"), (SagaStep, "saga_id"), (SagaEvent, "saga_id")):
            cursor.execute(_copies(table, mark), [first.hex, number, first.hex])
            cursor.execute(f"ANALYZE {table._meta.db_table}")
    if messages:
        for saga_id in Saga.objects.order_by("id").values_list("id", flat=True):
            actors.wake(saga_id)


def _copies(table: Any, mark: str) -> str:
    """The statement that copies one saga's rows; only ids and the order's number differ."""
    values = {field.column: field.column for field in table._meta.concrete_fields}
    if mark != "id":
        values.pop("id", None)
    values[mark] = _NEW_ID
    if "data" in values:
        values["data"] = _ORDER
    if "due_at" in values:  # so that they have an order
        values["due_at"] = "due_at + n * interval '1 microsecond'"
    return (
        f"INSERT INTO {table._meta.db_table} ({', '.join(values)}) SELECT"
        f" {', '.join(values.values())} FROM {table._meta.db_table},"
        f" generate_series(2, %s) AS n WHERE {mark} = %s"
    )


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sagaproject.settings")
    django.setup()
    fill(int(sys.argv[1]), messages="--messages" in sys.argv[2:])
