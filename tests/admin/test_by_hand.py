"""Nothing of a saga is editable by hand, not even by a superuser."""

import pytest
from django.contrib import admin
from django.test import Client

from sagas.models import Saga, SagaEvent, SagaStep
from tests.admin import staging
from tests.admin.staging import facts, page_of

pytestmark = pytest.mark.django_db

BASE = "/admin/sagas/saga/"


def test_steps_and_events_have_no_pages_of_their_own() -> None:
    assert admin.site.is_registered(Saga)
    assert not admin.site.is_registered(SagaStep)
    assert not admin.site.is_registered(SagaEvent)


def test_no_adding(root: Client) -> None:
    assert root.get(f"{BASE}add/").status_code == 403
    assert root.post(f"{BASE}add/", {"type": "purchase_saga"}).status_code == 403
    assert Saga.objects.count() == 0
    assert f"{BASE}add/" not in root.get(BASE).content.decode()


def test_no_changing(root: Client) -> None:
    saga = staging.failed()
    before = facts(saga)
    assert root.post(page_of(saga), {"status": "completed"}).status_code == 405
    assert facts(saga) == before
    text = root.get(page_of(saga)).content.decode()
    assert '<input type="submit"' not in text
    assert 'name="_save"' not in text
    assert "csrfmiddlewaretoken" not in text[text.index("saga-stack") :]


def test_no_deleting(root: Client) -> None:
    saga = staging.failed()
    assert root.get(f"{BASE}{saga.pk}/delete/").status_code == 403
    assert root.post(f"{BASE}{saga.pk}/delete/", {"post": "yes"}).status_code == 403
    action = {"action": "delete_selected", "_selected_action": str(saga.pk), "post": "yes"}
    root.post(BASE, action)
    assert Saga.objects.filter(pk=saga.pk).exists()
    assert "delete_selected" not in root.get(BASE).content.decode()


def test_its_history_is_on_its_page(root: Client) -> None:
    saga = staging.pending()
    assert root.get(f"{BASE}{saga.pk}/history/")["Location"] == page_of(saga)
