"""The plan: a seed gives the same faults and orders each time, within their bounds."""

from collections import Counter
from itertools import pairwise

import pytest

from tests.chaos.__main__ import main
from tests.chaos.kinds import GAPS, KINDS
from tests.chaos.plan import DOINGS, WARM_UP, orders, strikes


def test_a_seed_gives_the_same_faults_each_time() -> None:
    assert strikes(7, 300) == strikes(7, 300)
    assert strikes(7, 300) != strikes(8, 300)


def test_a_seed_gives_the_same_orders_each_time() -> None:
    assert orders(7, 500, 300) == orders(7, 500, 300)
    assert orders(7, 500, 300) != orders(8, 500, 300)


@pytest.mark.parametrize("seed", range(20))
def test_faults_keep_within_their_bounds(seed: int) -> None:
    made = strikes(seed, 120)
    assert [strike.at for strike in made] == sorted(strike.at for strike in made)
    for strike in made:
        kind = KINDS[strike.kind]
        assert strike.at >= WARM_UP
        assert kind.seconds[0] <= strike.seconds <= kind.seconds[1]
        assert kind.times[0] <= strike.times <= kind.times[1]
        if kind.target not in ("shop", "network"):
            assert strike.at + strike.seconds <= 120.01


@pytest.mark.parametrize("target", sorted(set(GAPS) - {"shop", "network"}))
def test_one_target_has_one_fault_at_a_time(target: str) -> None:
    mine = [strike for strike in strikes(3, 600) if KINDS[strike.kind].target == target]
    assert len(mine) > 10
    for before, after in pairwise(mine):
        assert after.at >= before.at + before.seconds + GAPS[target][0] - 0.02


def test_each_kind_comes_once_before_any_comes_again() -> None:
    times = Counter(strike.kind for strike in strikes(5, 300))
    for target in GAPS:
        counts = [times[name] for name, kind in KINDS.items() if kind.target == target]
        assert min(counts) >= 1
        assert max(counts) - min(counts) <= 1


def test_leaving_targets_out_changes_nothing_at_the_others() -> None:
    redis = [name for name, kind in KINDS.items() if kind.target == "redis"]
    assert strikes(4, 200, redis) == [one for one in strikes(4, 200) if one.kind in redis]


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="worker_kill_oen"):
        strikes(1, 60, ["worker_kill_oen"])


def test_an_unknown_kind_is_refused_on_the_command_line_and_all_are_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["chaos", "--kinds", "redis_flush,foo"])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert "no such kind: 'foo'" in told
    assert all(kind in told for kind in KINDS)


def test_orders_are_as_many_as_asked_for_and_spread_over_the_time() -> None:
    made = orders(9, 1000, 200)
    assert sorted(order.number for order in made) == list(range(1000))
    assert {order.doing for order in made} == set(DOINGS)
    assert all(0 <= order.at <= 200 for order in made)
    assert all(80 <= sum(o.at // 20 == part for o in made) <= 120 for part in range(10))


def test_orders_of_a_product_that_is_out_of_stock_are_those_and_no_others() -> None:
    for order in orders(9, 1000, 200):
        assert (order.product == 999) == (order.doing == "out_of_stock")
