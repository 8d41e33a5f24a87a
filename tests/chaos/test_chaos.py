"""A short chaos run: few kinds of faults, each of which must have struck. `./run chaos` has all."""

from pathlib import Path

import pytest

from tests.chaos.recovery import longest_and_median
from tests.chaos.report import GOOD, SLOW, lines, verdict
from tests.chaos.run import Options, keep, run
from tests.chaos.system import System

KINDS = (
    "worker_kill_one",
    "worker_kill_all",
    "postgres_cut_all",
    "redis_flush",
    "messages_dropped",
    "shop_error_after",
    "network_reset_after",
)
LEAST = 8
"""Half of the faults that are planned, as `./run chaos` has it."""


@pytest.mark.xdist_group("chaos")
@pytest.mark.timeout(180)
def test_the_promises_are_kept_under_faults(tmp_path: Path) -> None:
    options = Options(seed=40, seconds=16, sagas=80, workers=2, kinds=KINDS)
    with System(tmp_path, workers=options.workers) as system:
        result = run(system, options, lambda _: None)
        report = "\n".join(lines(result))
        if verdict(result, LEAST) != GOOD:
            keep(system, result)
    assert verdict(result, LEAST) == GOOD, report
    assert result.struck.never == [], report
    assert result.recoveries, "no killed worker was driving a saga"
    assert longest_and_median(result.recoveries)[0] < SLOW, report
