"""Previews, and what people do for a saga that is stuck, through the services."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from executors.base import Request, SagaView, post
from executors.purchase import PurchaseSagaExecutor
from sagas import services
from sagas.domain import triggers as tr
from sagas.engine import store
from sagas.models import Saga, SagaEvent
from sagas.preview import Plan, plan
from tests.admin import staging

pytestmark = pytest.mark.django_db


def names(plan: Plan) -> list[str]:
    return [call.name for call in plan.calls]


def test_a_preview_says_what_will_be_called_in_which_order_with_which_keys_and_bodies() -> None:
    saga = staging.completed()
    plan = services.preview(saga.id, tr.Compensate())
    assert names(plan) == ["cancel_sale", "refund_payment", "release_inventory"]
    assert plan.ends == "compensated"
    first = plan.calls[0]
    assert first.key == f"{saga.id}:1:create_sale:compensation"
    assert first.takes_back == f"{saga.id}:1:create_sale:action"
    assert first.request is not None
    assert (first.request["participant"], first.request["path"]) == ("sales", "/sales/cancel")
    assert (first.exact, first.recorded, first.in_flight) == (True, False, False)


def test_what_a_call_takes_from_answers_to_come_is_marked() -> None:
    plan = services.preview(staging.pending().id, tr.Execute())
    assert {call.name: call.exact for call in plan.calls} == {
        "validate_inventory": True,
        "reserve_inventory": True,
        "process_payment": True,
        "create_sale": False,
        "update_inventory": False,
    }
    body = json.loads(plan.calls[3].request["body"])  # type: ignore[index]
    assert body["payment_id"] == "(process_payment)"


def test_a_preview_changes_nothing_and_calls_nobody() -> None:
    saga = staging.completed()
    before = staging.facts(saga)
    services.preview(saga.id, tr.Compensate())
    assert staging.facts(saga) == before


def test_what_was_sent_before_is_repeated_as_it_was() -> None:
    saga = staging.compensating()
    plan = services.preview(saga.id)
    assert names(plan) == ["refund_payment", "release_inventory"]
    assert plan.calls[0].recorded
    assert plan.calls[0].request == {"path": "/process_payment", "body": "{}"}
    assert plan.calls[0].attempt == 2


def test_a_call_that_cannot_be_built_is_shown_as_such() -> None:
    saga = staging.compensated()
    Saga.objects.filter(pk=saga.pk).update(data={})
    plan = services.preview(saga.id, tr.Retry())
    assert plan.calls[0].request is None
    assert plan.calls[0].error.startswith("KeyError")
    assert (len(plan.calls), plan.ends) == (1, "failed")


def test_what_was_previewed_is_done() -> None:
    saga = staging.failed()
    plan = services.preview(saga.id, tr.Retry())
    after = services.perform(
        saga.id, tr.Retry(), actor="user:ann", reason="why", fingerprint=plan.fingerprint
    )
    assert after.status == "in_progress"
    event = SagaEvent.objects.get(saga=saga.id, kind="retry_requested")
    assert (event.actor, event.reason) == ("user:ann", "why")


MOVES: dict[str, Any] = {
    "an attempt": lambda saga: (
        SagaEvent.objects.filter(pk=0).exists()
        or saga.steps.filter(name="process_payment").update(compensation_attempts=3)
    ),
    "the status": lambda saga: Saga.objects.filter(pk=saga.pk).update(status="completed"),
    "the data": lambda saga: Saga.objects.filter(pk=saga.pk).update(data={"amount": "1.00"}),
    "an output": lambda saga: saga.steps.filter(name="process_payment").update(output={"a": 1}),
    "a step": lambda saga: saga.steps.filter(name="process_payment").update(effect="none"),
    "the run": lambda saga: Saga.objects.filter(pk=saga.pk).update(run=2),
}


@pytest.mark.parametrize("move", MOVES)
def test_a_saga_that_moved_on_is_left_alone(move: str) -> None:
    saga = staging.failed()
    fingerprint = services.preview(saga.id, tr.Compensate()).fingerprint
    MOVES[move](saga)
    before = staging.facts(saga)
    with pytest.raises(services.MovedOn):
        services.perform(
            saga.id, tr.Compensate(), actor="user:ann", reason="why", fingerprint=fingerprint
        )
    assert staging.facts(saga) == before


def test_another_operation_is_not_what_was_previewed() -> None:
    saga = staging.failed()
    fingerprint = services.preview(saga.id, tr.Retry()).fingerprint
    with pytest.raises(services.MovedOn):
        services.perform(
            saga.id, tr.Compensate(), actor="user:ann", reason="why", fingerprint=fingerprint
        )


def test_a_look_at_an_open_breaker_is_no_move() -> None:
    saga = staging.held()
    fingerprint = services.preview(saga.id, tr.Compensate()).fingerprint
    Saga.objects.filter(pk=saga.pk).update(due_at=saga.created_at)
    staging.drive(saga, {"reserve_inventory": [staging.HELD]})
    after = services.perform(
        saga.id, tr.Compensate(), actor="user:ann", reason="why", fingerprint=fingerprint
    )
    assert after.status == "compensated"


def test_a_doubt_is_resolved_with_evidence_and_output() -> None:
    saga = staging.in_doubt()
    assert services.mendable(saga).doubts == ("process_payment",)
    resolve = services.resolution(
        saga, "process_payment", applied=True, evidence="bank: p-7", output={"payment_id": "p-7"}
    )
    after = services.perform(saga.id, resolve, actor="user:ann", reason="asked the bank")
    step = after.steps.get(name="process_payment")
    assert (step.status, step.effect, step.output) == (
        "completed",
        "applied",
        {"payment_id": "p-7"},
    )
    event = SagaEvent.objects.get(saga=saga.id, kind="doubt_resolved")
    assert event.data["evidence"] == "bank: p-7"
    assert staging.drive(after).status == "completed"


@pytest.mark.parametrize("output", [{}, {"payment_id": []}, [], "p-7", {"payment_id": ""}])
def test_an_output_that_the_step_would_not_keep_is_refused(output: Any) -> None:
    with pytest.raises(services.InvalidData):
        services.resolution(
            staging.in_doubt(), "process_payment", applied=True, evidence="e", output=output
        )


def test_a_skipped_compensation_is_not_called_and_the_rest_is() -> None:
    saga = staging.failed()
    skip = services.skipping(saga, "process_payment")
    plan = services.preview(saga.id, skip, tr.Retry())
    assert names(plan) == ["release_inventory"]
    after = services.perform(
        saga.id, skip, tr.Retry(), actor="user:ann", reason="why", fingerprint=plan.fingerprint
    )
    kinds = list(SagaEvent.objects.filter(saga=saga.id).values_list("kind", flat=True))
    assert kinds[-2:] == ["step_skipped", "retry_requested"]
    assert staging.drive(after).status == "compensated"


def test_all_or_nothing() -> None:
    saga = staging.failed()
    before = staging.facts(saga)
    with pytest.raises(services.NotAllowed):
        services.perform(
            saga.id,
            services.skipping(saga, "process_payment"),
            tr.Execute(),
            actor="user:ann",
            reason="why",
        )
    assert staging.facts(saga) == before


def test_data_is_edited_for_a_new_run_and_the_history_has_both() -> None:
    saga = staging.compensated()
    edit = services.editing(saga, staging.DATA | {"payment_method": "cash"})
    after = services.perform(saga.id, edit, tr.Retry(), actor="user:ann", reason="wrong card")
    assert after.data["payment_method"] == "cash"
    event = SagaEvent.objects.get(saga=saga.id, kind="data_edited")
    assert event.data["before"]["payment_method"] == "credit_card"
    assert event.data["data"] == after.data
    assert (after.run, after.status) == (2, "in_progress")


def test_data_that_does_not_fit_is_refused() -> None:
    saga = staging.compensated()
    wrong: list[Any] = [{}, [], staging.DATA | {"amount": "-1"}, staging.DATA | {"colour": "red"}]
    for data in wrong:
        with pytest.raises(services.InvalidData):
            services.editing(saga, data)


def test_an_edit_of_data_that_others_edited_meanwhile_is_refused() -> None:
    saga = staging.compensated()
    edit = services.editing(saga, staging.DATA | {"payment_method": "cash"})
    services.perform(saga.id, edit, actor="user:ann", reason="first")
    with pytest.raises(services.MovedOn):
        services.perform(saga.id, edit, actor="user:bob", reason="second")


def test_nothing_is_mendable_without_the_code() -> None:
    assert services.mendable(staging.parked()) == services.Mendable()


def test_a_preview_tells_no_secret_of_the_sagas_own_code() -> None:
    class Shy(PurchaseSagaExecutor):
        secrets = ("payment_method",)

        def process_payment(self, saga: SagaView) -> Request:
            raise ValueError(f"no such card: {saga.data['payment_method']}")

    saga = staging.compensated()
    planned = plan(Shy(), store.load(saga.id), tr.Retry())
    assert planned.calls[2].error == "ValueError: no such card: •••"
    assert (len(planned.calls), planned.ends) == (3, "failed"), "it goes no further"


def test_a_request_that_is_another_each_time_is_an_example_and_can_be_confirmed() -> None:
    class Fickle(PurchaseSagaExecutor):
        def validate_inventory(self, saga: SagaView) -> Request:
            return post("/inventory/validate", {"at": str(uuid4())})

    saga = staging.compensated()
    first, second = (plan(Fickle(), store.load(saga.id), tr.Retry()) for _ in range(2))
    assert [call.varies for call in first.calls] == [True, False, False, False, False]
    assert first.fingerprint == second.fingerprint


def test_a_compensation_reads_of_a_step_in_doubt_what_it_will_read_when_it_is_built() -> None:
    class Recalls(PurchaseSagaExecutor):
        def refund_payment(self, saga: SagaView) -> Request:
            return Request("POST", "/refund", str(saga.output("create_sale").get("sale_id")))

    saga = staging.in_doubt()
    saga.steps.filter(name="process_payment").update(status="completed", effect="applied")
    saga.steps.filter(name="create_sale").update(effect="in_doubt")
    found = plan(Recalls(), store.load(saga.id), tr.Compensate())
    assert names(found) == ["cancel_sale", "refund_payment", "release_inventory"]
    refund = found.calls[1]
    assert refund.request is not None
    assert (refund.request["body"], refund.exact) == ("None", True)


def test_a_plan_whose_bodies_differ_is_another_plan() -> None:
    class Newer(PurchaseSagaExecutor):
        def release_inventory(self, saga: SagaView) -> Request:
            return Request("POST", "/reservations/release", "{}")

    loaded = store.load(staging.completed().id)
    known, newer = (
        plan(each, loaded, tr.Compensate()) for each in (PurchaseSagaExecutor(), Newer())
    )
    assert [call.key for call in known.calls] == [call.key for call in newer.calls]
    assert known.fingerprint != newer.fingerprint
