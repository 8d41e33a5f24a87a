"""./run chaos: faults of all kinds on the whole system, then the promises are checked.

The same seed gives the same faults and the same clients' doings at the same planned times. What
it does not give is the same interleaving: which call is under way when a fault strikes differs
from run to run, and so a violation may not show again at once.
"""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType

from tests.chaos.kinds import KINDS
from tests.chaos.plan import MOST_MINUTES, MOST_SAGAS, Strike, strikes
from tests.chaos.report import NO_PROOF, VIOLATED, doubts, lines, verdict
from tests.chaos.run import Options, keep, run
from tests.chaos.system import System

_SAGAS_A_MINUTE = 300
"""So many that two cores are not saturated: else a takeover waits for the processor."""


def main() -> int:
    """Run, print the report, and return the exit status."""
    asked = _arguments()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    options = Options(
        seed=asked.seed,
        seconds=asked.minutes * 60,
        sagas=asked.sagas or max(1, round(asked.minutes * _SAGAS_A_MINUTE)),
        workers=asked.workers,
        kinds=asked.kinds,
        operator=asked.operator,
    )
    planned = strikes(options.seed, options.seconds, options.kinds)
    if asked.plan:
        for line in _shown(planned):
            _say(line)
        return 0
    least = asked.least if asked.least is not None else len(planned) // 2
    folder = Path(tempfile.mkdtemp(prefix="saga-chaos-"))
    _say(f"{options.sagas} sagas, {len(planned)} faults planned, files in {folder}")
    try:
        with System(folder, workers=options.workers, seed=options.seed) as system:
            _say("the system runs")
            result = run(system, options, _say)
            status = verdict(result, least)
            if status == VIOLATED or asked.keep:
                keep(system, result)
    except KeyboardInterrupt:
        shutil.rmtree(folder)
        _say("interrupted; all processes are ended")
        return 130
    for line in lines(result):
        _say(line)
    if status == VIOLATED or asked.keep:
        _say(f"\ndatabase, logs and what clients were told: {folder}")
    else:
        shutil.rmtree(folder)
    if status == NO_PROOF:
        for doubt in doubts(result, least):
            _say(f"\nno proof: {doubt}")
    return status


def _shown(planned: Iterable[Strike]) -> Iterator[str]:
    """The plan as a table."""
    yield "at s: from the beginning; for s: how long it lasts, or keeps a call (0: over at once);"
    yield "calls: how many it hits at most, some of the shop's all attempts of one saga instead"
    yield f"\n{'at s':>8}  {'kind':<22} {'for s':>6} {'calls':>6}"
    for strike in planned:
        calls = strike.times if KINDS[strike.kind].fault else ""
        yield f"{strike.at:>8.2f}  {strike.kind:<22} {strike.seconds:>6.2f} {calls:>6}".rstrip()


def _arguments() -> Namespace:
    parser = ArgumentParser(prog="./run chaos", description=(__doc__ or "").partition("\n\n")[2])
    add = parser.add_argument
    add("--minutes", type=_minutes, default=3.0, help="of faults (default 3)")
    add("--seed", type=int, default=1)
    add("--sagas", type=_sagas, help=f"purchases (default {_SAGAS_A_MINUTE} a minute)")
    add("--workers", type=int, choices=range(1, 9), default=2, help="(default 2)")
    add("--kinds", type=_kinds, default=tuple(KINDS), help="only these, with commas between")
    add("--least", type=int, help="so many faults must strike, each counts once (default: half)")
    add("--operator", action="store_true", help="retry failed sagas once the faults have stopped")
    add("--keep", action="store_true", help="keep the folder also when all is well")
    add("--plan", action="store_true", help="only show the planned faults")
    return parser.parse_args()


def _kinds(text: str) -> tuple[str, ...]:
    found = dict.fromkeys(name.strip() for name in text.split(","))
    if unknown := ", ".join(repr(name) for name in found if name not in KINDS):
        raise ArgumentTypeError(f"no such kind: {unknown}; there are {', '.join(KINDS)}")
    return tuple(found)


def _minutes(text: str) -> float:
    value = float(text)
    if not 0 < value <= MOST_MINUTES:
        raise ArgumentTypeError(f"from more than 0 to {MOST_MINUTES:g}")
    return value


def _sagas(text: str) -> int:
    value = int(text)
    if not 0 < value <= MOST_SAGAS:
        raise ArgumentTypeError(f"from 1 to {MOST_SAGAS}")
    return value


def _end(number: int, frame: FrameType | None) -> None:
    # Only once: what follows ends the processes, and is not to be interrupted itself.
    for told in (signal.SIGINT, signal.SIGTERM):
        signal.signal(told, signal.SIG_IGN)
    raise KeyboardInterrupt


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
