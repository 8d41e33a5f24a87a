"""What is made by hand for speed is what the serializers, and so the OpenAPI document, say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from executors.secrets import hiding
from sagas import selectors, services
from sagas.api import documents
from sagas.api.serializers import EventSerializer, SagaSerializer
from sagas.models import Saga, SagaStep
from tests.api.client import Api

pytestmark = pytest.mark.django_db

NOW = timezone.now()
STATES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "pending": ({}, {}),
    "in progress": (
        {"status": "in_progress", "due_at": NOW, "deadline": NOW, "waiting": "for \u2028 é"},
        {"status": "in_progress", "effect": "in_doubt", "attempts": 2, "started_at": NOW},
    ),
    "completed": (
        {"status": "completed", "started_at": NOW, "ended_at": NOW.replace(microsecond=0)},
        {"status": "completed", "effect": "applied", "output": {"a": [1.5, None]}, "error": "x"},
    ),
    "failed": (
        {"status": "failed", "direction": "compensating", "in_doubt": True, "run": 2},
        {"status": "failed", "error": "not today", "ended_at": NOW, "compensation_attempts": 3},
    ),
    "failed, with a reason": ({"status": "failed", "reason": "so"}, {"error": "not today"}),
    "compensated": ({"status": "compensated", "ended_at": NOW - timedelta(days=1)}, {}),
    "of no known type": ({"type": "gone"}, {"output": {"card": "4111"}, "error": "4111"}),
}


@pytest.mark.parametrize("state", STATES)
def test_a_saga(api: Api, state: str) -> None:
    saga_id = UUID(api.new())
    of_saga, of_step = STATES[state]
    Saga.objects.filter(pk=saga_id).update(**of_saga)
    SagaStep.objects.filter(saga=saga_id, position__in=[2, 4]).update(**of_step)
    saga = services.get_saga(saga_id)
    usual = Saga.objects.prefetch_related("steps").get(pk=saga_id)
    assert documents.rendered(documents.saga(saga)) == documents.rendered(
        SagaSerializer(usual).data
    )


def test_the_history(api: Api) -> None:
    saga_id = UUID(api.new(execute=True))
    services.compensate(saga_id, actor="user:é", reason="why not")
    events = list(selectors.saga_events(saga_id))
    hide = hiding(services.get_saga(saga_id), events)
    assert documents.rendered([documents.event(each, hide) for each in events]) == (
        documents.rendered(EventSerializer(events, many=True, context={"hide": hide}).data)
    )
