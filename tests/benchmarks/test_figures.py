"""The benchmark's figures are of what it thinks they are: no servers here, it is run by hand."""

from __future__ import annotations

import os

import pytest

from benchmarks.accounting import cpu, memory, parse_rollup, parse_stat, processes, tree
from benchmarks.counters import Statement, difference, parse_commandstats
from benchmarks.ledger import Ledger, violations
from benchmarks.load import Outcome
from benchmarks.participant import Shop
from benchmarks.profiling import summary
from benchmarks.purchase import BenchmarkPurchase, Order
from benchmarks.workload import RELEASE, STEPS, effects, order


def run_order(ledger: Ledger, number: int, *steps: str) -> None:
    for step in steps:
        ledger.call(number, step, f"{number}:{step}")


def found(ledger: Ledger, orders: range, decline_every: int = 0) -> list[str]:
    return violations(ledger.document(), orders, decline_every)


def test_a_run_as_it_must_be_has_no_violation() -> None:
    ledger = Ledger(decline_every=5)
    for number in range(4, 7):
        run_order(ledger, number, *effects(number, 5))
    ledger.call(5, "process_payment", "5:process_payment")
    ledger.call(4, "create_sale", "4:create_sale")  # a repetition with its key is none
    assert found(ledger, range(4, 7), 5) == []
    assert (ledger.replays, ledger.declined) == (1, 1)
    assert effects(5, 5) == ["validate_inventory", "reserve_inventory", RELEASE]


@pytest.mark.parametrize("key", ["another", ""])
def test_a_second_effect_is_found(key: str) -> None:
    ledger = Ledger()
    run_order(ledger, 1, *STEPS)
    ledger.call(1, "create_sale", key)
    assert found(ledger, range(1, 2)) == ["a second effect: create_sale of order 1"]


@pytest.mark.parametrize(
    "steps",
    [(), STEPS[:4], (*STEPS, RELEASE), (STEPS[1], STEPS[0], *STEPS[2:])],
    ids=["lost", "unfinished", "released", "out of order"],
)
def test_an_order_with_other_effects_is_found(steps: tuple[str, ...]) -> None:
    ledger = Ledger()
    run_order(ledger, 1, *steps)
    assert len(found(ledger, range(1, 2))) == 1


def test_an_order_that_nobody_made_and_a_declined_one_that_was_kept_are_found() -> None:
    ledger = Ledger(decline_every=2)
    run_order(ledger, 2, "validate_inventory", "reserve_inventory")
    run_order(ledger, 3, *STEPS)
    assert found(ledger, range(2, 3), 2) == [
        "order 2 had validate_inventory, reserve_inventory",
        "order 3 was never asked for",
    ]


def test_the_shop_reads_order_and_key_and_declines() -> None:
    shop = Shop()
    shop.control("/config", b'{"latency": 0, "decline_every": 5}')
    head = b"POST /shop/x HTTP/1.1\r\nidempotency-key: k-1\r\nContent-Length: 2"
    assert shop.step("process_payment", head, b'{"order_id": "5"}').startswith(b"HTTP/1.1 402 ")
    for _ in range(2):
        assert shop.step("create_sale", head, b'{"order_id":7}').startswith(b"HTTP/1.1 200 OK")
    assert shop.step("create_sale", head, b"{}").startswith(b"HTTP/1.1 400 ")
    assert (shop.ledger.replays, shop.ledger.effects) == (1, {7: ["create_sale"]})


def test_orders_are_what_the_saga_type_takes() -> None:
    Order(data=order(7)).is_valid(raise_exception=True)
    assert tuple(step.name for step in BenchmarkPurchase.steps) == STEPS


def test_processes_are_read_whatever_their_name() -> None:
    stat = "12 (a b) c) S 7 1 1 0 -1 0 0 0 0 0 100 50 25 25 20 0 1 0 0 0 0"
    assert parse_stat(stat).parent == 7
    assert parse_stat(stat).seconds == 200 / os.sysconf("SC_CLK_TCK")
    rollup = "5000-7fff ---p 00000000 00:00 0 [rollup]\nRss: 2048 kB\nPss: 1024 kB\n"
    assert parse_rollup(rollup).pss == 1
    assert parse_rollup(rollup).rss == 2


def test_a_tree_holds_what_is_below_and_nothing_else() -> None:
    known = processes()
    own, parent = os.getpid(), os.getppid()
    assert own in tree([parent], known)
    assert parent not in tree([own], known)
    assert cpu({"me": [own], "gone": []})["gone"] == 0
    assert memory({"me": [own]})["me"].rss > 1


def test_counters_are_told_apart() -> None:
    text = "# Commandstats\r\ncmdstat_rpush:calls=3,usec=9\r\ncmdstat_info:calls=1,usec=1\r\n"
    after = parse_commandstats(text)
    assert after == {"rpush": 3}
    assert difference(after | {"get": 2}, {"rpush": 1, "get": 2}) == {"rpush": 2}
    assert Statement('SELECT 1 FROM ONLY "public"."sagas_saga" x', 1, 0.1).is_check
    assert not Statement('SELECT "id" FROM "sagas_saga"', 1, 0.1).is_check


def test_percentiles_and_shares_of_a_profile() -> None:
    outcome = Outcome(latencies=[float(number) for number in range(101)])
    assert [outcome.percentile(share) for share in (0.5, 0.95, 0.99)] == [50, 95, 99]
    stacks = "run (sagas/a.py:1);save (sagas/b.py:2) 3\nrun (sagas/a.py:9) 1"
    lines = summary(stacks).splitlines()
    assert "   75.0%  save (sagas/b.py)" in lines
    assert "  100.0%  run (sagas/a.py)" in lines
