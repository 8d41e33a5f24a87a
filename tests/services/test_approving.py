"""Two-person approval for compensating a completed saga."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection
from django.test import override_settings

from sagas import services
from sagas.domain import triggers as tr
from sagas.models import Proposal, Saga, SagaEvent
from tests.admin import staging
from tests.api.client import SAGAS, Api
from tests.api.contract import Contract

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _two_persons() -> Iterator[None]:
    with override_settings(SAGA_TWO_PERSON=True):
        yield


def proposed(saga: Saga) -> Proposal:
    fingerprint = services.preview(saga.id, tr.Compensate()).fingerprint
    return services.propose(saga.id, actor="user:ann", reason="recall", fingerprint=fingerprint)


def test_nobody_compensates_a_completed_saga_alone() -> None:
    saga = staging.completed()
    before = staging.facts(saga)
    with pytest.raises(services.NeedsApproval):
        services.compensate(saga.id, actor="user:ann", reason="recall")
    assert staging.facts(saga) == before


def test_the_api_says_so() -> None:
    answer = Api(Contract()).post(f"{SAGAS}/{staging.completed().id}/compensate")
    assert answer.status == 403
    assert "takes two persons" in answer.json["detail"]


def test_what_one_proposes_another_approves() -> None:
    saga = staging.completed()
    after = services.approve(proposed(saga).pk, actor="user:bob", comment="seen")
    assert (after.status, after.direction) == ("in_progress", "compensating")
    event = SagaEvent.objects.get(saga=saga.id, kind="compensate_requested")
    assert event.actor == "user:bob"
    assert event.reason == "recall (proposed by user:ann); seen"
    proposal = Proposal.objects.get()
    assert (proposal.decision, proposal.decided_by) == ("approved", "user:bob")


def test_nobody_approves_their_own() -> None:
    saga = staging.completed()
    before = staging.facts(saga)
    with pytest.raises(services.SamePerson):
        services.approve(proposed(saga).pk, actor="user:ann")
    assert staging.facts(saga) == before
    assert Proposal.objects.get().decision == ""


def test_an_approval_is_of_the_plan_that_was_previewed() -> None:
    saga = staging.completed()
    proposal = proposed(saga)
    saga.steps.filter(name="process_payment").update(output={"payment_id": "another"})
    with pytest.raises(services.MovedOn):
        services.approve(proposal.pk, actor="user:bob")
    assert Saga.objects.get(pk=saga.pk).status == "completed"
    assert Proposal.objects.get().decision == "outdated"


def test_a_proposal_is_of_the_plan_that_was_previewed() -> None:
    with pytest.raises(services.MovedOn):
        services.propose(staging.completed().id, actor="user:ann", reason="r", fingerprint="x")
    assert not Proposal.objects.exists()


def test_one_proposal_at_a_time_and_one_decision() -> None:
    saga = staging.completed()
    proposal = proposed(saga)
    with pytest.raises(services.AlreadyProposed):
        proposed(saga)
    services.reject(proposal.pk, actor="user:bob", comment="no")
    with pytest.raises(services.Decided, match="rejected"):
        services.approve(proposal.pk, actor="user:bob")
    services.reject(proposed(saga).pk, actor="user:ann")
    assert [p.decision for p in Proposal.objects.order_by("pk")] == ["rejected", "withdrawn"]
    assert Saga.objects.get(pk=saga.pk).status == "completed"


def test_other_sagas_need_nobody() -> None:
    failed = staging.failed()
    plan = services.preview(failed.id, tr.Compensate())
    with pytest.raises(services.NotAllowed, match="nobody's approval"):
        services.propose(failed.id, actor="a", reason="r", fingerprint=plan.fingerprint)
    assert services.compensate(failed.id, actor="user:ann").status == "in_progress"


@override_settings(SAGA_TWO_PERSON=False)
def test_switched_off_one_is_enough() -> None:
    assert services.compensate(staging.completed().id, actor="user:ann").status == "in_progress"


@pytest.mark.skipif(connection.vendor == "sqlite", reason="one writer at a time")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("other", ["approve", "reject"])
def test_of_those_who_decide_at_once_one_does(other: str) -> None:
    saga = staging.completed()
    pk, start, heard = proposed(saga).pk, Barrier(4), list[str]()

    def decides(how: str, actor: str) -> None:
        start.wait()
        try:
            decide = services.approve if how == "approve" else services.reject
            decide(pk, actor=actor)
            heard.append(how)
        except services.Decided:
            heard.append("late")
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        made = [
            pool.submit(decides, how, f"user:{n}")
            for n, how in enumerate(["approve", other, "approve", other])
        ]
        for each in made:
            each.result(20)
    assert heard.count("late") == 3
    decision = Proposal.objects.get().decision
    asked = SagaEvent.objects.filter(saga=saga.id, kind="compensate_requested").count()
    assert (decision, asked) in {("approved", 1), ("rejected", 0)}
