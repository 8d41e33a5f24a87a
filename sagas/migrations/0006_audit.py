"""The index of what people did, among the events of all sagas."""

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps
from django.db.models import Q

_NAME = "event_by_people"
_PEOPLE = Q(actor__startswith="user:") | Q(actor__startswith="shell:")
_INDEX = models.Index(condition=_PEOPLE, fields=["at"], name=_NAME)


def _create(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    events = apps.get_model("sagas", "SagaEvent")
    if editor.connection.vendor == "postgresql":
        editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_NAME}")  # what an interrupted one left
        editor.execute(_INDEX.create_sql(events, editor, concurrently=True), params=None)
    else:
        editor.add_index(events, _INDEX)


def _drop(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    editor.remove_index(apps.get_model("sagas", "SagaEvent"), _INDEX)


class Migration(migrations.Migration):
    atomic = False  # the index is built while workers go on

    dependencies = [
        ("sagas", "0005_bulk_and_approvals"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.AddIndex(model_name="sagaevent", index=_INDEX)],
            database_operations=[migrations.RunPython(_create, _drop, atomic=False)],
        ),
    ]
