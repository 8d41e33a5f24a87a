"""What a run comes to: for people, and as an exit status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.chaos.kinds import KINDS
from tests.chaos.recovery import longest_and_median
from tests.chaos.run import Result

GOOD, VIOLATED, NO_PROOF = 0, 1, 3
SLOW = 10.0
"""Seconds within which a dead worker's sagas should go on, if nothing else is wrong."""

_SHOWN = 40
"""Violations that are printed; all are in the folder."""


def verdict(result: Result, least: int) -> int:
    """0: all promises kept, 1: not kept, 3: kept, but under too few faults or kinds of them."""
    if result.violations:
        return VIOLATED
    return NO_PROOF if doubts(result, least) else GOOD


def doubts(result: Result, least: int) -> list[str]:
    """Why it is no proof: too few faults struck, or not half of the kinds that were asked for."""
    found, struck = [], result.struck
    if struck.total < least:
        found.append(f"{struck.total} faults struck, and not {least} at least")
    kinds, never = len(result.options.kinds), struck.never
    if 2 * len(never) > kinds:
        missing = ", ".join(never)
        found.append(f"{len(never)} of {kinds} kinds, more than half, never struck: {missing}")
    return found


def lines(result: Result) -> Iterator[str]:
    """The whole report."""
    asked = result.options
    yield f"seed {asked.seed}, {asked.seconds:g} s, {asked.workers} workers"
    yield from _sagas(result)
    yield from _requests(result)
    yield from _faults(result)
    yield from _recovery(result)
    yield from _promises(result)


def _sagas(result: Result) -> Iterator[str]:
    yield "\nsagas"
    for saga_type, status, number in result.sagas:
        yield f"  {saga_type:<16} {status:<12} {number:>6}"
    done = ", ".join(f"{name} {number}" for name, number in sorted(result.load.done.items()))
    yield f"  by what clients did: {done}"


def _requests(result: Result) -> Iterator[str]:
    yield "\nrequests by clients (no answer, or 0: the API was away, or the client did not wait)"
    by_operation: dict[str, Counter[int]] = {}
    for (operation, status), number in result.told.answers.items():
        by_operation.setdefault(operation, Counter())[status] += number
    for operation, answers in sorted(by_operation.items()):
        shown = ", ".join(f"{status or 'no answer'}: {n}" for status, n in sorted(answers.items()))
        yield f"  {operation:<12} {answers.total():>6}  {shown}"


def _faults(result: Result) -> Iterator[str]:
    total = result.struck.total
    yield f"\nfaults that struck: {total}, each once (a hit is of one call or message, if any)"
    yield f"  {'kind':<22}   made  struck    hits"
    for kind, made, struck, hits in result.struck.table():
        shown = f"{struck:>7}" if struck else "  never"
        yield f"  {kind:<22} {made:>6} {shown} {hits:>7}  {KINDS[kind].words}"
    for note in result.notes:
        yield f"  {note}"


def _recovery(result: Result) -> Iterator[str]:
    yield "\nrecovery"
    yield from _takeovers(result)
    yield f"  calls taken over               {result.takeovers:>6}"
    yield f"  longest wait of a due saga     {result.longest_wait:>8.1f} s, faults included"
    yield f"  most sagas due at once         {result.most_due:>6}"
    if result.settled is not None:
        bound = f"(bound {result.bound:.1f})"
        yield f"  quiet after the faults         {result.settled:>8.1f} s {bound}"
    if result.options.operator:
        yield f"  retried by the operator        {result.operator_retries:>6}"


def _takeovers(result: Result) -> Iterator[str]:
    killed = sum(len(kill.pids) for kill in result.struck.kills)
    yield f"  worker processes killed        {killed:>6}"
    yield f"  sagas that they were driving   {len(result.recoveries):>6}"
    if killed and not result.recoveries:
        yield "  none of those killed was driving a saga: this run says nothing about takeovers"
    if any(recovery.seconds is not None for recovery in result.recoveries):
        longest, middle = longest_and_median(result.recoveries)
        yield f"  until another went on          {longest:>8.1f} s at most, {middle:.1f} s median"
    else:
        yield "  until another went on          none to measure"
    yield from _slow(result)


def _slow(result: Result) -> Iterator[str]:
    """What else struck around the recoveries that took long."""
    also: Counter[str] = Counter()
    number = 0
    for one in result.recoveries:
        if one.seconds is not None and one.seconds > SLOW:
            number += 1
            # A hang or a pause that began before goes on for up to so long.
            kinds = result.struck.between(one.killed_at - SLOW, one.killed_at + one.seconds)
            also.update(kinds - {"worker_kill_one", "worker_kill_all"})
    if number:
        shown = ", ".join(f"{kind} {times}" for kind, times in also.most_common(5))
        yield f"  longer than {SLOW:g} s               {number:>6}  around them: {shown}"


def _promises(result: Result) -> Iterator[str]:
    verified = result.verified
    checks = sum(one["checks"] for one in verified.get("checked", {}).values())
    yield f"\n{verified.get('sagas', 0)} sagas, {verified.get('calls', 0)} calls, {checks} checks"
    for number, why in verified.get("not_checked", {}).items():
        yield f"  invariant {number} not checked: {why}"
    violations = result.violations
    yield f"violations: {len(violations)}"
    for violation in violations[:_SHOWN]:
        yield f"  {violation}"
    if len(violations) > _SHOWN:
        yield f"  and {len(violations) - _SHOWN} more"
