"""What each question costs among 10,000, 100,000 and 1,000,000 sagas; it is to be the same.

python -m benchmarks.history                    # starts a PostgreSQL and fills three databases
python -m benchmarks.history URL URL URL        # databases that `manage.py seed --history` filled
python -m benchmarks.history --only "API" URL   # what begins so

Pages of PostgreSQL's buffers that were touched, and CPU of this process and of its backend (where
that runs on this machine), each the median of some repeats after a first that warms what it finds.
Sagas that are open or failed are a share of such a history: what is asked of them costs as much as
there are of them, up to 10,000.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

SIZES = (10_000, 100_000, 1_000_000)
REPEATS = 7
SAME = 1.5
"""Costs are the same if the largest is no more than so many times the smallest."""

_FEW_PAGES, _SHORT = 60, 2.0
"""What differs by less is the same: an index has one level more, a timer its grain."""


# --- What it costs --------------------------------------------------------------------------------


def measure(only: str) -> dict[str, tuple[float, float, float]]:
    """Of the settings' database: pages, ms of CPU here and ms of CPU there, by question."""
    import django

    django.setup()
    from benchmarks.questions import questions

    return {name: _cost(ask) for name, ask in questions() if name.startswith(only)}


def _cost(ask: Callable[[], object]) -> tuple[float, float, float]:
    costs = []
    for _ in range(REPEATS + 1):
        pages, here, there = _pages(), time.process_time(), _backend()
        ask()
        costs.append(
            (
                float(_pages() - pages),
                (time.process_time() - here) * 1000,
                (_backend() - there) / 1e6,
            )
        )
    pages_, here_, there_ = (statistics.median(column) for column in zip(*costs[1:], strict=True))
    return pages_, here_, there_


def _pages() -> int:
    """Pages that this connection has touched."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(
            "SELECT coalesce(sum(hits + reads), 0)"
            " FROM pg_stat_get_backend_io(pg_backend_pid()) WHERE object = 'relation'"
        )
        (pages,) = cursor.fetchone()
    return int(pages)


def _backend() -> int:
    """Nanoseconds of CPU that this connection's backend has taken; 0 if it is elsewhere."""
    from django.db import connection

    path = Path(f"/proc/{connection.connection.info.backend_pid}/schedstat")
    return int(path.read_text().split()[0]) if path.exists() else 0


# --- The table ------------------------------------------------------------------------------------


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("urls", nargs="*", help="databases, the smallest first")
    parser.add_argument("--only", default="", help="questions whose names begin so")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        print(json.dumps(measure(asked.only)))
        return
    with ExitStack() as stack:
        urls = asked.urls or list(_filled(stack))
        found = [json.loads(_child(url, "--measure", f"--only={asked.only}")) for url in urls]
    _show(found)


def _filled(stack: ExitStack) -> Iterator[str]:
    from tests.servers import start_postgres

    postgres = stack.enter_context(start_postgres())
    for size in SIZES:
        url = f"{postgres.url.rpartition('/')[0]}/history{size}"
        import psycopg

        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE history{size}")
        for command in (["migrate", "-v0"], ["seed", "--history", str(size)]):
            subprocess.run(
                [sys.executable, "manage.py", *command],
                env=_environment(url),
                check=True,
                stdout=subprocess.DEVNULL,
            )
        yield url


def _child(url: str, *options: str) -> str:
    command = [sys.executable, "-m", "benchmarks.history", *options]
    done = subprocess.run(command, env=_environment(url), check=True, stdout=subprocess.PIPE)
    return done.stdout.decode().splitlines()[-1]


def _environment(url: str) -> dict[str, str]:
    """No Redis answers, so that no cache does either."""
    return os.environ | {
        "DATABASE_URL": url,
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "DJANGO_SETTINGS_MODULE": "sagaproject.settings",
        "LOG_LEVEL": "error",
    }


def _show(found: list[dict[str, tuple[float, float, float]]]) -> None:
    print(f"{'pages; ms of CPU here + in PostgreSQL':44}" + "  ratio pages, ms".rjust(60))
    for name in found[0]:
        costs = [each[name] for each in found if name in each]
        pages = [cost[0] for cost in costs]
        times = [cost[1] + cost[2] for cost in costs]
        more = _grows(pages, _FEW_PAGES) or _grows(times, _SHORT)
        cells = "".join(f"{p:9.0f} {h:6.1f}+{t:<7.1f}" for p, h, t in costs)
        ratios = f"{_ratio(pages):6.2f} {_ratio(times):6.2f}"
        print(f"{name:44}{cells}{ratios}{'  GROWS' if more else ''}")


def _grows(numbers: list[float], grain: float) -> bool:
    return numbers[-1] > max(SAME * numbers[0], numbers[0] + grain)


def _ratio(numbers: list[float]) -> float:
    return numbers[-1] / max(numbers[0], 0.01)


if __name__ == "__main__":
    main()
