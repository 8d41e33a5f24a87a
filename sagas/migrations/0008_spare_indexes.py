"""Indexes go that others make superfluous, and that every write had to pay for."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

# Django makes one for each foreign key; these tables have another that begins with the same column.
_SPARE = {
    "sagas_sagastep_saga_id_65cfbf6d": "sagas_sagastep (saga_id)",
    "sagas_sagaevent_saga_id_5e5f050e": "sagas_sagaevent (saga_id)",
    "sagas_bulkitem_bulk_id_baedc4cf": "sagas_bulkitem (bulk_id)",
}


def _drop(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    how = "CONCURRENTLY" if editor.connection.vendor == "postgresql" else ""
    for name in _SPARE:
        editor.execute(f"DROP INDEX {how} IF EXISTS {name}")


def _create(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    how = "CONCURRENTLY" if editor.connection.vendor == "postgresql" else ""
    _drop(apps, editor)  # what an interrupted one left
    for name, of in _SPARE.items():
        editor.execute(f"CREATE INDEX {how} {name} ON {of}")


def _without_index(model: str, field: str, to: str, related: str) -> migrations.AlterField:
    return migrations.AlterField(
        model_name=model,
        name=field,
        field=models.ForeignKey(
            db_index=False,
            on_delete=django.db.models.deletion.CASCADE,
            related_name=related,
            to=f"sagas.{to}",
        ),
    )


class Migration(migrations.Migration):
    atomic = False  # indexes are dropped while workers go on

    dependencies = [
        ("sagas", "0007_trace"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                _without_index("sagastep", "saga", "saga", "steps"),
                _without_index("sagaevent", "saga", "saga", "events"),
                _without_index("bulkitem", "bulk", "bulkoperation", "items"),
            ],
            database_operations=[migrations.RunPython(_drop, _create, atomic=False)],
        ),
    ]
