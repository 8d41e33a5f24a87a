"""An idempotency key is unique for its client, no longer among all clients."""

from typing import Any

from django.db import migrations, models, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps
from django.db.models import Q

_NAME = "saga_key_of_client"
_CONSTRAINT = models.UniqueConstraint(
    condition=Q(idempotency_key__isnull=False), fields=("idempotency_key", "client"), name=_NAME
)


def _field(saga: type[models.Model], *, unique: bool) -> "models.Field[Any, Any]":
    field: models.Field[Any, Any] = models.CharField(
        max_length=255, null=True, blank=True, unique=unique
    )
    field.model = saga
    field.set_attributes_from_name("idempotency_key")
    return field


def _create(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    saga = apps.get_model("sagas", "Saga")
    postgresql = editor.connection.vendor == "postgresql"
    if postgresql:
        # What Django would make for the constraint, but while others go on writing.
        columns = "(idempotency_key, client) WHERE idempotency_key IS NOT NULL"
        editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_NAME}")  # what an interrupted one left
        editor.execute(f"CREATE UNIQUE INDEX CONCURRENTLY {_NAME} ON sagas_saga {columns}")
    with transaction.atomic(editor.connection.alias):
        editor.alter_field(saga, _field(saga, unique=True), _field(saga, unique=False))
        if not postgresql:
            editor.add_constraint(saga, _CONSTRAINT)  # last: SQLite made the table anew


def _drop(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Fails while two clients used the same key."""
    saga = apps.get_model("sagas", "Saga")
    with transaction.atomic(editor.connection.alias):
        editor.remove_constraint(saga, _CONSTRAINT)
        editor.alter_field(saga, _field(saga, unique=False), _field(saga, unique=True))


class Migration(migrations.Migration):
    atomic = False  # the index is built while workers go on

    dependencies = [
        ("sagas", "0009_api_keys"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name="saga",
                    name="idempotency_key",
                    field=models.CharField(max_length=255, null=True, blank=True),
                ),
                migrations.AddConstraint(model_name="saga", constraint=_CONSTRAINT),
            ],
            database_operations=[migrations.RunPython(_create, _drop, atomic=False)],
        ),
    ]
