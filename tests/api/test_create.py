"""POST /api/v1/sagas: 201, Location, steps, and the Idempotency-Key."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier
from typing import Any
from urllib.parse import urlencode

import pytest

from sagas.models import Saga
from sagas.services import creating
from tests.api.client import PURCHASE, SAGAS, Answer, Api, in_thread, purchase
from tests.api.contract import Contract

pytestmark = pytest.mark.django_db


def test_the_new_saga_comes_back_with_its_steps_and_its_address(api: Api) -> None:
    answer = api.create()
    assert answer.status == 201
    saga = answer.json
    assert answer.headers["location"] == f"{SAGAS}/{saga['id']}"
    assert api.get(answer.headers["location"]).json == saga
    assert (saga["status"], saga["direction"], saga["run"]) == ("pending", "forward", 1)
    assert saga["allowed_operations"] == ["compensate", "execute"]
    assert [(step["name"], step["compensation"]) for step in saga["steps"]] == [
        ("validate_inventory", None),
        ("reserve_inventory", "release_inventory"),
        ("process_payment", "refund_payment"),
        ("create_sale", "cancel_sale"),
        ("update_inventory", None),
    ]
    assert {step["status"] for step in saga["steps"]} == {"pending"}


def test_money_is_kept_as_decimal_strings(api: Api) -> None:
    for amount in (59.98, "59.98", 59.980):
        data = api.create(purchase(amount=amount)).json["data"]
        assert data["amount"] == "59.98"
        assert data["items"][0]["price"] == "29.99"
    item = {"product_id": 1, "quantity": 3, "price": 0.1}
    assert api.create(purchase(items=[item], amount=0.3)).status == 201
    assert Saga.objects.count() == 4


def test_execute_starts_it_at_once(api: Api) -> None:
    saga = api.create({**PURCHASE, "execute": True}).json
    assert saga["status"] == "in_progress"
    assert saga["started_at"] is not None
    assert saga["allowed_operations"] == ["compensate"]
    kinds = [event["kind"] for event in api.get(f"{SAGAS}/{saga['id']}/events").json]
    assert kinds[:2] == ["saga_created", "execute_requested"]


def test_every_example_of_the_document_is_accepted(api: Api, contract: Contract) -> None:
    content = contract.document["paths"][SAGAS]["post"]["requestBody"]["content"]
    assert list(content) == ["application/json"]
    examples = [example["value"] for example in content["application/json"]["examples"].values()]
    assert examples[0] == PURCHASE
    for example in examples:
        assert api.create(example).status == 201


def test_curl_without_a_content_type_is_understood(api: Api) -> None:
    """The seed's test command is a bare `curl -d`, which calls its JSON a form."""
    content, form = json.dumps(PURCHASE).encode(), "application/x-www-form-urlencoded"
    answer = api.send("POST", SAGAS, content, form)
    assert answer.status == 201
    assert api.send("POST", f"{SAGAS}/{answer.json['id']}/execute", b"", form).status == 202


def test_a_real_form_is_no_json(api: Api) -> None:
    form = urlencode({"type": "purchase_saga"}).encode()
    api.refused(api.send("POST", SAGAS, form, "application/x-www-form-urlencoded"))


def test_a_repeated_request_gives_the_first_saga(api: Api) -> None:
    first = api.create(Idempotency_Key="order-1")
    assert "idempotency-replayed" not in first.headers
    api.post(f"{SAGAS}/{first.json['id']}/execute")
    again = api.create(Idempotency_Key="order-1")
    assert again.status == 201
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert again.json["status"] == "in_progress"  # the saga as it is now
    assert Saga.objects.count() == 1
    assert api.create(Idempotency_Key="order-2").json["id"] != first.json["id"]


def test_the_order_of_members_makes_no_other_body(api: Api) -> None:
    api.create(Idempotency_Key="k")
    backwards = {"data": dict(reversed(PURCHASE["data"].items())), "type": PURCHASE["type"]}
    assert api.create(backwards, Idempotency_Key="k").headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize(
    "other",
    [purchase(customer_id=124), {**PURCHASE, "execute": True}, {**PURCHASE, "type": "return_saga"}],
)
def test_another_body_under_the_same_key_is_refused(api: Api, other: Any) -> None:
    first = api.create(Idempotency_Key="k").json
    answer = api.create(other, Idempotency_Key="k")
    assert answer.status == 422
    assert Saga.objects.count() == 1
    assert api.saga(first["id"]) == first


def test_a_refused_request_does_not_use_its_key_up(api: Api) -> None:
    api.refused(api.create(purchase(amount="1.00"), Idempotency_Key="k"))
    assert api.create(Idempotency_Key="k").status == 201


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("bodies", [[PURCHASE], [PURCHASE, purchase(store_id=2)]])
def test_of_requests_at_the_same_moment_one_makes_the_saga(
    contract: Contract, bodies: list[Any]
) -> None:
    together = Barrier(20)

    def post(number: int) -> Answer:
        together.wait()
        return Api(contract).create(bodies[number % len(bodies)], Idempotency_Key="one")

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(in_thread(post), range(20)))
    saga = Saga.objects.get()
    winners = [answer for answer in answers if answer.status == 201]
    assert {answer.json["id"] for answer in winners} == {str(saga.id)}
    assert sum("idempotency-replayed" not in answer.headers for answer in winners) == 1
    assert len(winners) == 20 / len(bodies)
    assert {answer.status for answer in answers} <= {201, 422}


@pytest.mark.parametrize(("body", "status"), [(PURCHASE, 201), (purchase(store_id=2), 422)])
def test_a_request_that_came_first_unseen(
    api: Api, monkeypatch: pytest.MonkeyPatch, body: Any, status: int
) -> None:
    """The key is not there when it is looked for, and is when the saga is inserted."""
    api.create(Idempotency_Key="k")
    look, looks = creating._by_key, iter([(None, None)])
    monkeypatch.setattr(creating, "_by_key", lambda *key: next(looks, None) or look(*key))
    assert api.create(body, Idempotency_Key="k").status == status
    assert Saga.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_without_a_key_each_request_makes_a_saga(contract: Contract) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(in_thread(lambda _: Api(contract).create()), range(8)))
    assert Saga.objects.count() == 8


def test_amounts_add_up_exactly_however_large(api: Api) -> None:
    item = {"product_id": 1, "quantity": 10**9, "price": "999.99"}
    total = Decimal(10**9) * Decimal("999.99")
    assert api.create(purchase(items=[item], amount=str(total))).status == 201
