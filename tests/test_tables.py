"""What the database itself refuses, whoever writes to it."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from sagas.models import Saga, SagaEvent
from tests.admin import staging

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "columns",
    [
        {"status": "done"},
        {"status": "in_progress"},
        {"due_at": "2026-01-01T00:00:00Z"},
        {"id": None},
    ],
)
def test_a_saga_that_makes_no_sense_is_refused(columns: dict[str, Any]) -> None:
    saga = staging.completed()
    with pytest.raises(IntegrityError), transaction.atomic():
        Saga.objects.filter(pk=saga.pk).update(**columns)


def test_no_two_events_have_one_number() -> None:
    saga = staging.completed()
    again = SagaEvent.objects.filter(saga=saga).order_by("seq")[0]
    again.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        SagaEvent.objects.bulk_create([again])


def test_a_saga_is_not_deleted_without_what_belongs_to_it() -> None:
    Saga.objects.filter(pk=staging.completed().pk)._raw_delete(using="default")
    with pytest.raises(IntegrityError):
        connection.check_constraints()
    transaction.set_rollback(True)
