"""What a fault switch left behind: its count, the ledger and the sums."""

from tests.shop.client import Caller


def fault_count(caller: Caller) -> list[int]:
    return [switch["struck"] for switch in caller.get("payment", "/faults")["faults"]]


def assert_prevented(caller: Caller, status: int | None) -> None:
    (entry,) = caller.ledger("payment")
    assert (entry["outcome"], entry["status"], entry["amount"]) == ("faulted", status, "59.98")
    assert caller.state("payment")["taken"] == "0.00"
    assert fault_count(caller) == [1]


def assert_applied(caller: Caller) -> None:
    (entry,) = caller.ledger("payment")
    assert (entry["outcome"], entry["status"]) == ("applied", 201)
    assert caller.state("payment")["taken"] == "59.98"
    assert fault_count(caller) == [1]
