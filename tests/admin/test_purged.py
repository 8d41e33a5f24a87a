"""The console's pages that tell of sagas which were purged since."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings
from django.urls import reverse

from sagas import selectors, services
from sagas.domain import triggers as tr
from sagas.domain.state import Operation
from sagas.models import BulkOperation, Proposal, Saga
from tests.admin import staging
from tests.services.test_purge import aged, purge

pytestmark = pytest.mark.django_db

LIST = "/admin/sagas/saga/"


def get(client: Client, address: str) -> Any:
    response = client.get(address)
    assert response.status_code == 200, address
    return response.content.decode()


def test_a_bulk_operation_tells_of_sagas_that_are_gone(root: Client) -> None:
    User.objects.create_superuser("ann")
    first, second = staging.failed(), staging.failed()
    bulk = services.draft_bulk(Operation.RETRY, [first.pk, second.pk], actor="user:ann")
    services.run_bulk(bulk.pk)
    services.confirm_bulk(bulk.pk, actor="user:ann", reason="the bank is back")
    services.run_bulk(bulk.pk)
    aged(staging.drive(first), 91)
    staging.drive(second)
    purge()
    assert set(Saga.objects.values_list("pk", flat=True)) == {second.pk}
    text = get(root, reverse("admin:sagas_bulk", args=[bulk.pk]))
    assert str(first.pk) in text
    assert "Done: all 2" in text
    assert "Done: all 2" in get(root, reverse("admin:sagas_bulk_index"))
    assert "the bank is back" in get(root, f"{LIST}audit/")


def test_the_trail_of_a_purged_bulk_operation_is_that_of_its_sagas(root: Client) -> None:
    User.objects.create_superuser("ann")
    saga = staging.failed()
    bulk = services.draft_bulk(Operation.RETRY, [saga.pk], actor="user:ann")
    services.run_bulk(bulk.pk)
    services.confirm_bulk(bulk.pk, actor="user:ann", reason="the bank is back")
    services.run_bulk(bulk.pk)
    then = selectors.database_now() - timedelta(days=91)
    BulkOperation.objects.update(ended_at=then)
    assert list(services.purge_bulk_operations(then + timedelta(days=1))) == [1]
    text = get(root, f"{LIST}audit/")
    assert f"the bank is back (bulk {bulk.pk})" in text
    assert staging.page_of(saga) in text
    assert root.get(reverse("admin:sagas_bulk", args=[bulk.pk])).status_code == 404
    assert "the bank is back" in get(root, staging.page_of(saga))


@override_settings(SAGA_TWO_PERSON=True)
def test_the_proposals_of_a_purged_saga_are_gone_with_it(root: Client) -> None:
    saga = aged(staging.completed(), 91)
    fingerprint = services.preview(saga.pk, tr.Compensate()).fingerprint
    proposal = services.propose(saga.pk, actor="user:ann", reason="no", fingerprint=fingerprint)
    services.reject(proposal.pk, actor="user:bob")
    aged(saga, 91)
    purge()
    assert not Proposal.objects.exists()
    assert root.get(reverse("admin:sagas_approval", args=[proposal.pk])).status_code == 404
    assert str(saga.pk) not in get(root, reverse("admin:sagas_approval_index"))
    assert str(saga.pk)[-12:] not in get(root, f"{LIST}audit/")


def test_its_own_pages_lead_to_the_list_and_say_so(root: Client) -> None:
    saga = aged(staging.completed(), 91)
    purge()
    for view in ("change", "execute", "compensate", "retry"):
        response = root.get(staging.page_of(saga, view), follow=True)
        assert response.redirect_chain == [(LIST, 302)], view
        assert f"There is no saga {saga.pk}." in response.content.decode()
    older = root.get(LIST, {"after": str(saga.pk)})  # a page that began where it was
    assert older.status_code == 200
