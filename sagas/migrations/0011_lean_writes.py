"""Each write costs less: what guarded nothing, or was kept twice, goes; what is left is brief.

PostgreSQL reads the text of every check constraint anew for every statement that writes, asks for a
foreign key's row once for each row inserted, and adds to each index for each. The models and
SQLite keep what they had, but for an index: code of before runs on these tables, and this code on those of before.

All of it is done while workers go on: a lock that keeps others out is held for milliseconds, and not
waited for behind a long transaction (then this fails, and can be started again).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import django.db.models.deletion
from django.db import migrations, models, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

# The engine alone writes these, and only ever counts up from 0.
_COUNTED = {
    "sagas_saga": ("definition_version", "run", "seq", "epoch", "crashes"),
    "sagas_sagastep": ("position", "revision", "attempts", "compensation_attempts"),
    "sagas_sagaevent": ("seq", "epoch"),
}
_STATUSES = "pending", "in_progress", "completed", "failed", "compensated"
_LISTED = ", ".join(f"'{status}'" for status in _STATUSES)
_CHECKS = {
    "saga_status_known": f"status = ANY ('{{{','.join(_STATUSES)}}}'::varchar[])",
    "saga_due_while_in_progress": "(status = 'in_progress') = (due_at IS NOT NULL)",
}
"""The same conditions as before, in fewer words."""

_CHECKS_BEFORE = {
    "saga_status_known": f"status IN ({_LISTED})",
    "saga_due_while_in_progress": "(due_at IS NOT NULL AND status = 'in_progress')"
    " OR (NOT status = 'in_progress' AND due_at IS NULL)",
}
# An event is only inserted after an update that found its saga, in one transaction, and deleted with
# it. Nobody can delete a saga alone: its steps' foreign key stays.
_EVENT_SAGA = "sagas_sagaevent_saga_id_5e5f050e_fk_sagas_saga_id"
# Events are found by saga and number; `event_seq` keeps them apart.
_EVENT_ID = "sagas_sagaevent_pkey"
_REASON = "sagas_saga (upper(left(reason, 100)) text_pattern_ops) WHERE reason <> ''"
_TABLES = "sagas_saga", "sagas_sagastep", "sagas_sagaevent"


def _forwards(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor != "postgresql":
        editor.execute("DROP INDEX IF EXISTS saga_created")
        return
    _build(editor, "saga_reason", f"INDEX CONCURRENTLY saga_reason ON {_REASON}")
    for table in _TABLES:
        # Dead rows of the last sagas are in the sweepers' way; a fifth of a long history is many.
        editor.execute(f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0.02)")
    _check(editor, _CHECKS)
    with _soon(editor):
        for table, columns in _COUNTED.items():
            for column in columns:
                editor.execute(
                    f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {table}_{column}_check"
                )
        events = "ALTER TABLE sagas_sagaevent"
        editor.execute(f"{events} DROP CONSTRAINT IF EXISTS {_EVENT_SAGA}")
        editor.execute(f"{events} DROP CONSTRAINT IF EXISTS {_EVENT_ID}")
        editor.execute(f"{events} REPLICA IDENTITY USING INDEX event_seq")
    editor.execute("DROP INDEX CONCURRENTLY IF EXISTS saga_created")


def _backwards(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor != "postgresql":
        editor.execute("CREATE INDEX saga_created ON sagas_saga (created_at)")
        return
    _build(editor, "saga_created", "INDEX CONCURRENTLY saga_created ON sagas_saga (created_at)")
    _build(editor, _EVENT_ID, f"UNIQUE INDEX CONCURRENTLY {_EVENT_ID} ON sagas_sagaevent (id)")
    with _soon(editor):
        # In the order in which all who write take them: else one of the two is a deadlock's victim.
        editor.execute(f"LOCK TABLE {', '.join(_TABLES)} IN ACCESS EXCLUSIVE MODE")
        events = "ALTER TABLE sagas_sagaevent"
        editor.execute(f"{events} REPLICA IDENTITY DEFAULT")
        editor.execute(f"{events} ADD CONSTRAINT {_EVENT_ID} PRIMARY KEY USING INDEX {_EVENT_ID}")
        editor.execute(
            f"{events} ADD CONSTRAINT {_EVENT_SAGA} FOREIGN KEY (saga_id) REFERENCES sagas_saga"
            " DEFERRABLE INITIALLY DEFERRED NOT VALID"
        )
        for table, columns in _COUNTED.items():
            for column in columns:
                name = f"{table}_{column}_check"
                editor.execute(
                    f'ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ("{column}" >= 0) NOT VALID'
                )
    editor.execute(f"{events} VALIDATE CONSTRAINT {_EVENT_SAGA}")
    for table, columns in _COUNTED.items():
        for column in columns:
            editor.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {table}_{column}_check")
    _check(editor, _CHECKS_BEFORE)
    for table in _TABLES:
        editor.execute(f"ALTER TABLE {table} RESET (autovacuum_vacuum_scale_factor)")
    editor.execute("DROP INDEX CONCURRENTLY IF EXISTS saga_reason")


def _build(editor: BaseDatabaseSchemaEditor, name: str, index: str) -> None:
    editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")  # what an interrupted one left
    editor.execute(f"CREATE {index}")


def _check(editor: BaseDatabaseSchemaEditor, checks: dict[str, str]) -> None:
    """Put these in the place of those of the same names, without a moment that has neither."""
    table = "ALTER TABLE sagas_saga"
    for name, condition in checks.items():
        with _soon(editor):
            editor.execute(f"{table} DROP CONSTRAINT IF EXISTS {name}_new")
            editor.execute(f"{table} ADD CONSTRAINT {name}_new CHECK ({condition}) NOT VALID")
        editor.execute(f"{table} VALIDATE CONSTRAINT {name}_new")  # others go on writing meanwhile
        with _soon(editor):
            editor.execute(f"{table} DROP CONSTRAINT {name}")
            editor.execute(f"{table} RENAME CONSTRAINT {name}_new TO {name}")


@contextmanager
def _soon(editor: BaseDatabaseSchemaEditor) -> Iterator[None]:
    """A transaction that waits five seconds for a lock, as others wait behind it."""
    with transaction.atomic(editor.connection.alias):
        editor.execute("SET LOCAL lock_timeout = '5s'")
        yield


class Migration(migrations.Migration):
    atomic = False  # while workers go on

    dependencies = [
        ("sagas", "0010_idempotency_keys_of_clients"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveIndex(model_name="saga", name="saga_created"),
                migrations.AlterField(
                    model_name="sagaevent",
                    name="saga",
                    field=models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="events",
                        to="sagas.saga",
                    ),
                ),
            ],
            database_operations=[migrations.RunPython(_forwards, _backwards, atomic=False)],
        ),
    ]
