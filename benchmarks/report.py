"""The figures as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import median

from benchmarks.measure import Run

_ROLES = ("api", "worker", "floor", "postgres", "redis")
_WIDEST = 250


def table(runs: list[Run]) -> str:
    """A line for each contender, of its runs the medians, and the ratios to the floors."""
    named: dict[str, list[Run]] = {}
    for each in runs:
        named.setdefault(each.contender, []).append(each)
    plan = runs[0].plan
    lines = [
        f"{plan.in_flight} in flight, {plan.sagas} sagas, calls of {plan.latency * 1000:g} ms"
        + (f", every {plan.decline_every}th declined" if plan.decline_every else ""),
        f"{'':14} {'CPU ms/saga':>11}  {'lowest-highest':>15}"
        + "".join(f" {role:>8}" for role in _ROLES)
        + f"  {'sagas/s':>7} {'p50':>7} {'p95':>7} {'p99 ms':>7}",
        *(_line(name, group) for name, group in named.items()),
    ]
    ours = named.get("project")
    for name, group in named.items():
        if ours and name.startswith("floor"):
            ratio = _median(ours, _cpu) / _median(group, _cpu)
            lines.append(f"project / {name}: {ratio:.1f} times the CPU")
    for name, group in named.items():
        lines += _details(name, group)
    return "\n".join(lines)


def _line(name: str, runs: list[Run]) -> str:
    used = [run.cpu for run in runs]
    by_role = "".join(f" {_role(runs, role):>8}" for role in _ROLES)
    return (
        f"{name:14} {median(used):11.2f}  {f'{min(used):.2f}-{max(used):.2f}':>15}{by_role}"
        f"  {_median(runs, lambda run: run.sagas_per_second):7.1f}"
        f" {_median(runs, lambda run: run.p50_ms):7.1f}"
        f" {_median(runs, lambda run: run.p95_ms):7.1f}"
        f" {_median(runs, lambda run: run.p99_ms):7.1f}"
    )


def _details(name: str, runs: list[Run]) -> Iterable[str]:
    def each(what: Callable[[Run], float]) -> float:
        return _median(runs, what)

    yield (
        f"{name}, per saga: {each(lambda run: run.commits):.2f} commits,"
        f" {each(lambda run: run.statements):.1f} statements in about"
        f" {each(lambda run: run.transactions):.1f} transactions,"
        f" {each(lambda run: run.checks):.1f} checks of foreign keys,"
        f" {each(lambda run: run.wal_bytes):,.0f} bytes of WAL"
    )
    if redis := _medians([run.redis for run in runs]):
        commands = ", ".join(f"{name} {number:.2f}" for name, number in _largest(redis))
        yield f"  Redis: {sum(redis.values()):.1f} commands ({commands})"
        yield f"  messages {redis.get('zadd', 0):.2f}, polls {each(lambda run: run.polls):.2f}"
    took = _medians([run.beside_ms for run in runs])
    beside = ", ".join(f"{name} {value:.2f} ms" for name, value in took.items())
    yield (
        f"  beside, not counted: {beside};"
        f" calibration {each(lambda run: run.calibration_ms):.1f} ms"
    )
    pss, rss = (_medians([each.pss_mb for each in runs]), _medians([each.rss_mb for each in runs]))
    memory = ", ".join(f"{role} {pss[role]:.0f} ({rss[role]:.0f})" for role in pss)
    yield f"  MB, PSS (RSS): {sum(pss.values()):.0f} in all; {memory}"
    yield from (f"  PROBLEM: {problem}" for run in runs for problem in run.problems)


def statements(run: Run, most: int = 40) -> str:
    """The statements of a saga, the most frequent first."""
    lines = ["   calls/saga  ms/saga"]
    for each in run.top_statements[:most]:
        calls, took = each.calls / run.plan.sagas, each.milliseconds / run.plan.sagas
        lines.append(f"{calls:12.3f} {took:8.4f}  {each.text[:_WIDEST]}")
    return "\n".join(lines)


def _largest(numbers: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(numbers.items(), key=lambda item: -item[1])


def _cpu(run: Run) -> float:
    return run.cpu


def _median(runs: list[Run], what: Callable[[Run], float]) -> float:
    return median(what(run) for run in runs)


def _medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """By name; what a run does not have is 0 there."""
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: median(run.get(name, 0.0) for run in runs) for name in names}


def _role(runs: list[Run], role: str) -> str:
    if role not in runs[0].cpu_ms:
        return "-"
    return f"{median(run.cpu_ms[role] for run in runs):.2f}"
