"""Indexes for the questions that the console's list answers."""

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

# A saga comes into these once, when it ends: its updates before that do not touch them.
_ENDED = "WHERE status IN ('completed', 'compensated', 'failed')"
_POSTGRESQL = {
    "saga_data_values": f"sagas_saga USING gin (data) {_ENDED}",
    "step_output_values": "sagas_sagastep USING gin (output) WHERE output IS NOT NULL",
    "saga_id_end": f"sagas_saga (reverse(right(id::text, 12)) text_pattern_ops) {_ENDED}",
}


def _create(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor != "postgresql":
        return  # SQLite reads all rows for such a search
    for name, of in _POSTGRESQL.items():
        editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")  # what an interrupted one left
        editor.execute(f"CREATE INDEX CONCURRENTLY {name} ON {of}")


def _drop(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "postgresql":
        for name in _POSTGRESQL:
            editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


class Migration(migrations.Migration):
    atomic = False  # indexes are built while workers go on

    dependencies = [
        ("sagas", "0002_operations"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="saga",
            index=models.Index(
                condition=models.Q(("ended_at__isnull", False)),
                fields=["ended_at"],
                name="saga_ended",
            ),
        ),
        migrations.AddIndex(
            model_name="saga",
            index=models.Index(
                condition=models.Q(("status", "failed")), fields=["ended_at"], name="saga_failed"
            ),
        ),
        migrations.AddIndex(
            model_name="saga",
            index=models.Index(
                condition=models.Q(("in_doubt", True)), fields=["id"], name="saga_in_doubt"
            ),
        ),
        migrations.AddIndex(
            model_name="saga",
            index=models.Index(
                condition=models.Q(("waiting", ""), _negated=True),
                fields=["id"],
                name="saga_waiting",
            ),
        ),
        migrations.RunPython(_create, _drop, atomic=False),
    ]
