"""Every fault switch, as the caller sees it and as the ledger tells it."""

import time
from http.client import IncompleteRead, RemoteDisconnected
from json import JSONDecodeError
from typing import Any

import pytest

from shop import Shop
from tests.shop.client import Caller, request
from tests.shop.struck import assert_applied, assert_prevented, fault_count


def test_decline_of_a_payment(caller: Caller) -> None:
    caller.set_fault("payment", "decline", step="process_payment")
    response = caller.pay()
    assert (response.status, response.body["code"]) == (402, "declined")
    assert_prevented(caller, 402)


def test_decline_elsewhere(caller: Caller) -> None:
    caller.set_fault("inventory", "decline")
    response = caller.reserve()
    assert (response.status, response.body["code"]) == (409, "declined")


def test_delay_comes_before_the_effect(caller: Caller) -> None:
    caller.set_fault("payment", "delay", seconds=0.3)
    with pytest.raises(TimeoutError):
        caller.pay(timeout=0.1)
    assert caller.ledger("payment") == []
    time.sleep(0.4)
    assert_applied(caller)


def test_late_comes_after_the_effect(caller: Caller) -> None:
    caller.set_fault("payment", "late", seconds=0.5)
    with pytest.raises(TimeoutError):
        caller.pay(timeout=0.2)
    assert_applied(caller)


def test_late_strikes_on_replays(caller: Caller) -> None:
    caller.pay()
    caller.set_fault("payment", "late", seconds=0.5)
    with pytest.raises(TimeoutError):
        caller.pay(timeout=0.2)
    assert caller.outcomes("payment") == ["applied", "replayed"]


def test_a_sleeping_call_holds_up_nobody(caller: Caller, shop: Shop) -> None:
    caller.set_fault("payment", "late", seconds=2, times=1)
    with pytest.raises(TimeoutError):
        caller.pay(timeout=0.1)
    began = time.monotonic()
    assert Caller(shop).pay().status == 201
    assert time.monotonic() - began < 1


def test_error(caller: Caller) -> None:
    caller.set_fault("payment", "error")
    response = caller.pay()
    assert (response.status, "Retry-After" in response.headers) == (500, False)
    assert response.body["code"] == "fault"
    assert_prevented(caller, 500)


@pytest.mark.parametrize(
    "retry_after", ["7", 7, -5, "1.5", "9" * 100, "Wed, 21 Oct 2065 07:28:00 GMT", "soon"]
)
def test_error_with_status_and_retry_after(caller: Caller, retry_after: Any) -> None:
    caller.set_fault("payment", "error", status=503, retry_after=retry_after)
    response = caller.pay()
    assert (response.status, response.headers["Retry-After"]) == (503, str(retry_after))
    assert_prevented(caller, 503)


def test_error_after(caller: Caller) -> None:
    caller.set_fault("payment", "error_after", status=502)
    assert caller.pay().status == 502
    assert_applied(caller)


def test_reset_before(caller: Caller) -> None:
    caller.set_fault("payment", "reset_before")
    with pytest.raises(ConnectionResetError) as caught:
        caller.pay()
    assert not isinstance(caught.value, RemoteDisconnected), "that was a FIN"
    assert_prevented(caller, None)


def test_reset_after(caller: Caller) -> None:
    caller.set_fault("payment", "reset_after")
    with pytest.raises(ConnectionResetError) as caught:
        caller.pay()
    assert not isinstance(caught.value, RemoteDisconnected), "that was a FIN"
    assert_applied(caller)


def test_garbage(caller: Caller) -> None:
    caller.set_fault("payment", "garbage")
    with pytest.raises(JSONDecodeError):
        caller.pay()
    assert_applied(caller)


def test_truncated(caller: Caller) -> None:
    caller.set_fault("payment", "truncated")
    with pytest.raises(IncompleteRead):
        caller.pay()
    assert_applied(caller)


def test_hang(caller: Caller) -> None:
    caller.set_fault("payment", "hang", seconds=0.3)
    began = time.monotonic()
    with pytest.raises(RemoteDisconnected):
        caller.pay()
    assert 0.25 < time.monotonic() - began < 2
    assert_prevented(caller, None)


def test_hang_is_in_the_ledger_at_once(caller: Caller) -> None:
    caller.set_fault("payment", "hang", seconds=5)
    with pytest.raises(TimeoutError):
        caller.pay(timeout=0.1)
    assert_prevented(caller, None)


def test_a_fault_on_a_compensation_leaves_no_barrier(caller: Caller) -> None:
    caller.set_fault("payment", "error", step="refund_payment")
    assert caller.repay().status == 500
    assert caller.pay().status == 201
    kinds = [(entry["kind"], entry["outcome"]) for entry in caller.ledger("payment")]
    assert kinds == [("compensation", "faulted"), ("action", "applied")]


def test_times(caller: Caller) -> None:
    caller.set_fault("payment", "error", times=2)
    assert [caller.pay().status for _ in range(3)] == [500, 500, 201]
    assert fault_count(caller) == [2]


def test_without_times_it_strikes_until_cleared(caller: Caller, shop: Shop) -> None:
    caller.set_fault("payment", "error", times=None)
    assert [caller.pay().status for _ in range(3)] == [500] * 3
    assert request(shop.urls["payment"], "DELETE", "/faults").body == {"cleared": 1}
    assert caller.get("payment", "/faults") == {"faults": []}
    assert caller.pay().status == 201


def test_step_none_means_any(caller: Caller) -> None:
    caller.set_fault("payment", "error", step=None)
    assert (caller.pay().status, caller.repay().status) == (500, 500)


def test_another_step_is_spared(caller: Caller) -> None:
    caller.set_fault("payment", "error", step="process_refund")
    assert caller.pay().status == 201
    assert fault_count(caller) == [0]


def test_the_step_is_the_one_in_the_header(caller: Caller) -> None:
    caller.set_fault("payment", "error", step="charge")
    assert caller.pay(step="charge").status == 500
    assert caller.ledger("payment")[0]["step"] == "charge"


def test_the_first_set_strikes_first(caller: Caller) -> None:
    caller.set_fault("payment", "error", times=1, status=503)
    caller.set_fault("payment", "error", times=1, status=502)
    assert [caller.pay().status for _ in range(3)] == [503, 502, 201]


@pytest.mark.parametrize(
    ("match", "struck"),
    [
        ({"customer_id": 5}, True),
        ({"customer_id": 6}, False),
        ({"customer_id": 5, "amount": "1.00"}, False),
        ({"nothing": 1}, False),
        ({"run": 1}, True),
        ({"run": "2"}, False),
        ({"saga_id": "mine"}, True),
        ({"saga_id": "other"}, False),
        ({"saga_id": "mine", "customer_id": 6}, False),
    ],
)
def test_match(shop: Shop, match: dict[str, object], struck: bool) -> None:
    caller = Caller(shop, "mine")
    caller.set_fault("payment", "error", match=match)
    assert (caller.pay().status == 500) is struck


def test_a_switch_is_shown_as_it_was_set(caller: Caller) -> None:
    wanted = {"step": "process_payment", "times": 2, "seconds": 0.5, "match": {"customer_id": 5}}
    response = caller.set_fault("payment", "late", **wanted)
    assert response.status == 201
    shown = {"id": 1, "fault": "late", **wanted, "status": 500, "retry_after": None}
    shown |= {"location": None, "struck": 0}
    assert response.body == shown
    assert caller.get("payment", "/faults") == {"faults": [shown]}


@pytest.mark.parametrize(
    "wrong",
    [
        {"fault": "nonsense"},
        {"fault": None},
        {"fault": ["error"]},
        {"fault": "error", "stepp": "x"},
        {"fault": "error", "times": 0},
        {"fault": "error", "times": True},
        {"fault": "error", "status": 200},
        {"fault": "error", "status": 307},
        {"fault": "redirect", "status": 400},
        {"fault": "redirect", "location": "/a\r\nX: y"},
        {"fault": "late", "seconds": -1},
        {"fault": "late", "seconds": "1"},
        {"fault": "error", "match": [1]},
        {"fault": "error", "retry_after": "1\r\nX: y"},
    ],
    ids=str,
)
def test_a_misspelt_switch_is_refused(caller: Caller, wrong: dict[str, Any]) -> None:
    assert caller.set_fault("payment", **wrong).status == 400
    assert fault_count(caller) == []
