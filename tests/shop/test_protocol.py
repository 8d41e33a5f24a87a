"""The rules of every participant: one effect per key, and the barrier."""

import threading
from collections import Counter

import pytest

from shop import Shop
from tests.shop.client import Caller, Response


def test_the_same_key_replays_the_answer_and_has_one_effect(caller: Caller) -> None:
    first, second = caller.pay(), caller.pay()
    assert first.status == second.status == 201
    assert first.body == second.body
    assert caller.outcomes("payment") == ["applied", "replayed"]
    assert caller.state("payment")["taken"] == "59.98"


def test_the_same_key_with_another_body_is_refused(caller: Caller) -> None:
    caller.pay()
    again = caller.pay(amount="1.00")
    assert (again.status, again.body["code"]) == (422, "key_reused")
    assert caller.outcomes("payment") == ["applied", "refused"]
    assert caller.state("payment")["taken"] == "59.98"
    assert caller.pay().status == 201


def test_the_same_key_and_body_at_another_endpoint_is_refused(caller: Caller) -> None:
    body = {"reservation_id": caller.reserve().body["reservation_id"]}
    caller.call("inventory", "/reservations/commit", body, "k")
    again = caller.call("inventory", "/reservations/release", body, "k", compensates="reserve")
    assert (again.status, again.body["code"]) == (422, "key_reused")


def test_a_compensation_that_comes_first_is_a_noop_and_bars_the_late_action(caller: Caller) -> None:
    first = caller.repay()
    assert (first.status, first.body) == (200, {"refunded": False})
    late = caller.pay()
    assert (late.status, late.body["code"]) == (409, "barred")
    assert caller.outcomes("payment") == ["noop", "barred"]
    assert caller.state("payment")["taken"] == "0.00"


def test_a_compensation_finds_its_action_by_the_key_alone(caller: Caller) -> None:
    caller.pay()
    assert caller.repay(None).body == {"refunded": True}
    assert caller.state("payment") == {"taken": "59.98", "refunded": "59.98", "net": "0.00"}


def test_the_key_counts_more_than_the_id_in_the_body(shop: Shop, caller: Caller) -> None:
    other = Caller(shop)
    stranger = other.pay(amount="10.00").body["payment_id"]
    caller.pay()
    assert caller.repay(stranger).body == {"refunded": True}
    assert caller.state("payment")["net"] == "10.00"
    assert other.repay().body == {"refunded": True}


def test_an_id_is_enough_if_the_key_is_unknown(caller: Caller) -> None:
    payment_id = caller.pay(key="another").body["payment_id"]
    assert caller.repay(payment_id).body == {"refunded": True}
    assert caller.state("payment")["net"] == "0.00"
    assert caller.pay(key="another").body["code"] == "barred"
    assert caller.repay(payment_id, key="again").body == {"refunded": False}


def test_an_id_of_another_saga_is_not_taken_back(shop: Shop, caller: Caller) -> None:
    stranger = Caller(shop).pay().body["payment_id"]
    assert caller.repay(stranger).body == {"refunded": False}
    assert caller.state("payment")["net"] == "59.98"


def test_a_compensation_is_idempotent(caller: Caller) -> None:
    caller.pay()
    assert caller.repay().body == caller.repay().body == {"refunded": True}
    assert caller.repay(key="another key").body == {"refunded": False}
    assert caller.outcomes("payment") == ["applied", "applied", "replayed", "noop"]
    assert caller.state("payment")["refunded"] == "59.98"


def test_a_noop_compensation_is_replayed_as_such(caller: Caller) -> None:
    assert caller.repay().body == caller.repay().body == {"refunded": False}
    assert caller.outcomes("payment") == ["noop", "replayed"]


def test_a_compensation_with_another_body_is_refused(caller: Caller) -> None:
    caller.repay()
    assert caller.repay("some id").body["code"] == "key_reused"


def test_a_compensated_action_is_barred_and_not_replayed(caller: Caller) -> None:
    caller.pay()
    caller.repay()
    again = caller.pay()
    assert (again.status, again.body["code"]) == (409, "barred")
    assert caller.outcomes("payment") == ["applied", "applied", "barred"]
    assert caller.state("payment")["net"] == "0.00"


def test_a_compensation_of_an_action_of_another_kind_is_refused(caller: Caller) -> None:
    payment_id = caller.pay().body["payment_id"]
    caller.refund(payment_id, "1.00")
    wrong = caller.unrefund(compensates="pay")
    assert (wrong.status, wrong.body["code"]) == (422, "key_mismatch")
    assert caller.pay().status == 201, "the refused compensation has barred the action"


def test_a_refusal_is_not_remembered(caller: Caller) -> None:
    caller.reserve(quantity=1_000_000)
    assert caller.reserve(key="late").body["code"] == "out_of_stock"
    caller.release()
    assert caller.reserve(key="late").status == 201
    assert caller.outcomes("inventory") == ["applied", "refused", "applied", "applied"]


def test_a_refused_action_leaves_nothing_to_compensate(caller: Caller) -> None:
    caller.reserve(product=999)
    assert caller.release().body == {"released": False}


def test_an_action_without_compensates_header_cannot_be_compensated(caller: Caller) -> None:
    response = caller.call("payment", "/payments/refund", {"payment_id": None}, "repay")
    assert (response.status, response.body["code"]) == (400, "compensates_missing")


def _together(caller: Caller, *calls: str) -> list[Response]:
    barrier, responses = threading.Barrier(len(calls)), []

    def run(name: str) -> None:
        barrier.wait()
        responses.append(getattr(caller, name)(timeout=10))

    threads = [threading.Thread(target=run, args=[name]) for name in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return responses


def test_of_50_calls_with_one_key_exactly_one_is_applied(caller: Caller) -> None:
    responses = _together(caller, *["pay"] * 50)
    assert {response.status for response in responses} == {201}
    assert len({response.body["payment_id"] for response in responses}) == 1
    assert Counter(caller.outcomes("payment")) == {"applied": 1, "replayed": 49}
    assert caller.state("payment")["taken"] == "59.98"


@pytest.mark.parametrize("_", range(3))
def test_a_race_of_action_and_compensation_ends_with_nothing_paid(caller: Caller, _: int) -> None:
    _together(caller, *["pay", "repay"] * 10)
    assert caller.state("payment")["net"] == "0.00"
    assert caller.pay().body["code"] == "barred"
