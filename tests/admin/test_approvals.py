"""Two-person approval in the console."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client, override_settings

from sagas import services
from sagas.admin import parts
from sagas.domain.triggers import Compensate
from sagas.models import Proposal, Saga, SagaEvent
from tests.admin import staging
from tests.admin.staging import page_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _two_persons() -> Iterator[None]:
    with override_settings(SAGA_TWO_PERSON=True):
        yield


def propose(client: Client, saga: Saga) -> str:
    """The address of the proposal."""
    text = staging.html(client, saga, "compensate")
    assert "This takes two persons" in text
    found = re.search(r'name="fingerprint" value="(\w+)"', text)
    assert found
    body = {"reason": "recall", "fingerprint": found[1]}
    location: str = client.post(page_of(saga, "compensate"), body)["Location"]
    return location


def test_proposed_by_one_and_approved_by_another(login: Any) -> None:
    ann = login("ann", "view_saga", "compensate", "approve")
    bob = login("bob", "view_saga", "approve")
    saga = staging.completed()
    before = staging.facts(saga)
    address = propose(ann, saga)
    assert staging.facts(saga) == before, "proposing does nothing to the saga"

    mine = ann.get(address).content.decode()
    assert "Another person has to approve" in mine
    assert 'value="approve"' not in mine
    ann.post(address, {"decision": "approve"})
    assert staging.facts(saga) == before

    his = bob.get(address).content.decode()
    assert "user:ann proposes it: recall" in his
    assert f"{saga.pk}:1:process_payment:compensation" in his
    answer = bob.post(address, {"decision": "approve", "comment": "seen"})
    assert answer["Location"] == page_of(saga)
    event = SagaEvent.objects.get(saga=saga.pk, kind="compensate_requested")
    assert (event.actor, event.reason) == ("user:bob", "recall (proposed by user:ann); seen")
    assert "approved" in ann.get("/admin/sagas/saga/approvals/").content.decode()


def test_approving_takes_its_permission(login: Any, viewer: Client) -> None:
    saga = staging.completed()
    address = propose(login("ann", "view_saga", "compensate"), saga)
    before = staging.facts(saga)
    for client in (viewer, login("bob", "view_saga", "compensate")):
        text = client.get(address).content.decode()
        assert 'name="decision"' not in text
        client.post(address, {"decision": "approve"})
        client.post(address, {"decision": "reject"})
    assert staging.facts(saga) == before
    assert Proposal.objects.get().decision == ""


def test_a_saga_that_moved_on_is_not_compensated(login: Any, root: Client) -> None:
    saga = staging.completed()
    address = propose(login("ann", "view_saga", "compensate"), saga)
    saga.steps.filter(name="process_payment").update(output={"payment_id": "p-9"})
    text = root.get(address).content.decode()
    assert "outdated" in text
    assert 'value="approve"' not in text
    answer = root.post(address, {"decision": "approve"}, follow=True)
    assert "moved on since it was proposed" in answer.content.decode()
    assert Saga.objects.get(pk=saga.pk).status == "completed"
    assert Proposal.objects.get().decision == "outdated"


def test_rejected_withdrawn_and_decided_once(login: Any, root: Client) -> None:
    ann, saga = login("ann", "view_saga", "compensate"), staging.completed()
    first = propose(ann, saga)
    assert (
        "open proposal"
        in root.post(
            page_of(saga, "compensate"),
            {"reason": "r", "fingerprint": services.preview(saga.id, Compensate()).fingerprint},
            follow=True,
        ).content.decode()
    )
    root.post(first, {"decision": "reject", "comment": "no"})
    answer = root.post(first, {"decision": "approve"}, follow=True)
    assert "It was decided before: rejected." in answer.content.decode()
    ann.post(propose(ann, saga), {"decision": "reject"})
    assert [p.decision for p in Proposal.objects.order_by("pk")] == ["rejected", "withdrawn"]
    assert Saga.objects.get(pk=saga.pk).status == "completed"


def test_bad_addresses_and_evil_texts(root: Client, login: Any) -> None:
    assert root.get("/admin/sagas/saga/approvals/").status_code == 200
    assert root.get("/admin/sagas/saga/approvals/999999999999999999/").status_code == 404
    address = propose(login("ann", "view_saga", "compensate"), staging.completed())
    evil = "<script>alert(1)</script>"
    Proposal.objects.update(reason=evil, proposed_by=evil, comment=evil)
    for path in (address, "/admin/sagas/saga/approvals/"):
        text = root.get(path).content.decode()
        assert "alert(1)" in text
        assert evil not in text
    assert root.post(address, {"decision": "nonsense", "comment": "\0"}).status_code == 200


def test_the_overview_tells_that_a_proposal_waits(login: Any, viewer: Client) -> None:
    def overview() -> str:
        parts.forget()
        return viewer.get("/admin/").content.decode()

    assert "proposal waits" not in overview()
    ann, saga = login("ann", "view_saga", "compensate"), staging.completed()
    address = propose(ann, saga)
    assert "1 proposal waits for another person" in overview()
    ann.post(address, {"decision": "reject"})
    assert "proposal waits" not in overview()


def test_the_saga_leads_to_its_open_proposal(login: Any, viewer: Client) -> None:
    ann = login("ann", "view_saga", "compensate", "approve")
    saga, other = staging.completed(), staging.completed()
    address = propose(ann, saga)
    link = f'href="{address}"'
    assert link in staging.html(viewer, saga)
    assert "Another person has to approve it" not in staging.html(viewer, other)
    ann.post(address, {"decision": "reject"})
    assert link not in staging.html(viewer, saga)
