"""`./run bench`: what a saga costs this project, beside the floors. See benchmarks/README.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import measure, report
from benchmarks.contenders import Contender, Floor, Project
from benchmarks.profiling import PROFILER, Profile, busiest
from benchmarks.system import Size, System

_SAGAS = {1: 300, 32: 1000, 256: 2000}
_FEW, _MORE_OF_FLOORS = 40, 4
_FLOOR_THREADS, _FLOOR_THREADS_SLOW, _FLOOR_CONNECTIONS = 8, 64, 32


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    add = parser.add_argument
    add(
        "--concurrency",
        type=_numbers,
        default=[1, 32, 256],
        help="sagas in flight, with commas (1,32,256)",
    )
    add("--sagas", type=int, help="that count, of each run (300 at 1, 1000 at 32, 2000 at 256)")
    add("--latency", type=float, default=0, help="ms that each call of the shop takes (0)")
    add("--decline", type=int, default=0, help="every Nth payment is declined (0: none)")
    add(
        "--workers",
        type=Size.parse,
        default=Size(),
        help="PROCESSESxTHREADS (the project's default)",
    )
    add("--api", type=Size.parse, default=Size(), help="PROCESSESxTHREADS (the project's default)")
    add("--drives", action="store_true", help="the API drives sagas that are waited for itself")
    add("--wait", type=int, default=30, help="seconds of `Prefer: wait`; 0: clients only ask (30)")
    add("--repeat", type=int, default=1, help="times that everything is measured, in turn (1)")
    add("--floors", action=argparse.BooleanOptionalAction, default=True, help="measure them, too")
    add("--history", type=int, default=0, help="ended sagas that are there already (0)")
    add("--statements", action="store_true", help="show the SQL statements of a saga")
    add("--profile", action="store_true", help="show the functions that take most, by py-spy")
    add("--json", type=Path, metavar="FILE", help="write all figures there")
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    """Raises ValueError, which argparse tells."""
    found = [int(part) for part in text.split(",")]
    if min(found) < 1:
        raise ValueError(text)
    return found


def settings_of(options: argparse.Namespace) -> dict[str, str]:
    """What the service is told that differs from its defaults."""
    drives = {"SAGA_API_DRIVES": "on"} if options.drives else {}
    workers: Size = options.workers
    api: Size = options.api
    return workers.variables("WORKER") | api.variables("API") | drives


class Bench:
    """The runs of one call of the command."""

    def __init__(self, system: System, options: argparse.Namespace) -> None:
        self._system = system
        self._options = options
        self._first = 1000
        self._profiles: list[Profile] = []
        self.runs: list[measure.Run] = []

    def take(self, in_flight: int) -> None:
        """Every contender once."""
        for make in self._contenders():
            with make() as contender:
                is_project = isinstance(contender, Project)
                plan = self._plan(in_flight, is_project=is_project)
                during = self._profile if is_project else lambda: None
                run = measure.run(self._system, contender, plan, self._first, during)
            self._first += plan.warm_up + plan.sagas
            self.runs.append(run)
            problems = "".join(f"\n  PROBLEM: {problem}" for problem in run.problems)
            say(f"  {run.contender} at {in_flight}: {run.cpu:.2f} ms{problems}")

    def _plan(self, in_flight: int, *, is_project: bool) -> measure.Plan:
        latency: float = self._options.latency
        number = self._options.sagas or _SAGAS.get(in_flight, 1000)
        if latency and in_flight == 1 and not self._options.sagas:
            number = _FEW
        return measure.Plan(
            in_flight=in_flight,
            # A floor's CPU is so little that the clock's ticks would show.
            sagas=number if is_project or latency else number * _MORE_OF_FLOORS,
            latency=latency / 1000,
            decline_every=self._options.decline,
        )

    def _contenders(self) -> list[Callable[[], Contender]]:
        system, options = self._system, self._options
        found: list[Callable[[], Contender]] = [lambda: Project(system, options.wait)]
        if options.floors:
            threads = _FLOOR_THREADS_SLOW if options.latency else _FLOOR_THREADS
            found += [
                lambda: Floor(system, "threads", threads),
                lambda: Floor(system, "asyncio", _FLOOR_CONNECTIONS),
            ]
        return found

    def _profile(self) -> None:
        if self._options.profile and not self._profiles:
            self._profiles += [
                Profile(role, busiest(self._system.roles[role][0]), seconds=8)
                for role in ("api", "worker")
            ]

    def show(self) -> None:
        """Print what was found."""
        for in_flight in dict.fromkeys(run.plan.in_flight for run in self.runs):
            runs = [run for run in self.runs if run.plan.in_flight == in_flight]
            print("\n" + report.table(runs))
            if self._options.statements:
                ours = [run for run in runs if run.contender == "project"]
                print(report.statements(ours[-1]))
        for profile in self._profiles:
            print("\n" + profile.text())


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    return {
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Run it; 1 when a run was not as it must be."""
    options = arguments()
    if options.profile and shutil.which(PROFILER) is None:
        say(f"{PROFILER} is not on the PATH: `pip install {PROFILER}` somewhere, and add it")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where it was ignored
    say("starting PostgreSQL, Redis, the shop, the API and the workers")
    try:
        with System(settings_of(options), options.history) as system:
            bench = Bench(system, options)
            for _ in range(options.repeat):
                for in_flight in options.concurrency:
                    bench.take(in_flight)
            bench.show()
    except KeyboardInterrupt:
        return 130
    if options.json:
        content = {"machine": machine(), "runs": [run.document() for run in bench.runs]}
        options.json.write_text(json.dumps(content, indent=1) + "\n")
    return 1 if any(run.problems for run in bench.runs) else 0


if __name__ == "__main__":
    sys.exit(main())
