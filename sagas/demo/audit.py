"""Holds a saga against the shop's ledgers: what it says it did must be what was done."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from decimal import Decimal

from sagas.demo.client import Json
from sagas.domain.state import CallKind, idempotency_key

_TAKES = {"process_payment": 1, "reverse_refund": 1, "refund_payment": -1, "process_refund": -1}
"""Which way each of the payment service's effects moves money."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was looked at, and whether it is as it should be."""

    good: bool
    subject: str
    text: str


def audit(
    saga: Json,
    events: list[Json],
    entries: list[Json],
    expected: Collection[str],
    effects: int | None = None,
) -> list[Finding]:
    """Everything that can be seen from outside about one saga that has ended.

    `expected` is in which statuses it may be, `effects` how many of its actions should have
    taken place, if that is known.
    """
    return [
        _status(saga, expected),
        _effects(saga, entries, effects),
        _calls(saga, events, entries),
        _money(saga, entries),
    ]


def _status(saga: Json, expected: Collection[str]) -> Finding:
    wanted = " or ".join(expected)
    if saga["status"] in expected:
        return Finding(True, "status", f"{saga['status']}, as it should be")
    why = saga["error"] or saga["waiting"]
    return Finding(False, "status", f"{saga['status']}, not {wanted}" + (f": {why}" if why else ""))


# --- Effects ----------------------------------------------------------------------------------


def _effects(saga: Json, entries: list[Json], wanted: int | None) -> Finding:
    problems = [
        problem for run in range(1, saga["run"] + 1) for problem in _run(saga, entries, run)
    ]
    if problems:
        return Finding(False, "effects", "; ".join(problems))
    applied = [entry for entry in entries if entry["outcome"] == "applied"]
    done = sum(entry["kind"] == "action" for entry in applied)
    undone = len(applied) - done
    if wanted not in (None, done):
        return Finding(False, "effects", f"{done} took place, where {wanted} should have")
    if saga["status"] == "completed":
        text = f"{done} took place exactly once each, and none was taken back"
    else:
        text = f"{done} took place, {count(undone, 'compensation')} took all back: net zero"
    return Finding(True, "effects", text if applied else "none took place: nothing to take back")


def _run(saga: Json, entries: list[Json], run: int) -> Iterator[str]:
    """What is wrong with the effects of one run."""
    stands = saga["status"] == "completed" and run == saga["run"]
    rows = [entry for entry in entries if str(entry["run"]) == str(run)]
    for step in saga["steps"]:
        action = idempotency_key(saga["id"], run, step["name"], CallKind.ACTION)
        mine = [row for row in rows if action in (row["key"], row["compensates"])]
        outcomes = Counter((row["kind"], row["outcome"]) for row in mine)
        effects, undone = outcomes["action", "applied"], outcomes["compensation", "applied"]
        if effects > 1:
            yield f"{step['name']} took place {effects} times"
        if stands and not effects and not outcomes["action", "checked"]:
            yield f"{step['name']} never took place"
        if stands and undone:
            yield f"{step['name']} was taken back"
        if not stands and effects != undone and not _covered(mine, rows):
            yield f"{step['name']} took place {effects} times and was taken back {undone} times"


def _covered(mine: list[Json], rows: list[Json]) -> bool:
    """Whether effects without a compensation of their own were taken back by a later one.

    Releasing a reservation also puts back the stock that the sale took out of it.
    """
    last = max(row["seq"] for row in mine)
    compensated = any(row["kind"] == "compensation" for row in mine)
    return not compensated and any(
        row["service"] == mine[0]["service"]
        and (row["kind"], row["outcome"]) == ("compensation", "applied")
        and row["seq"] > last
        for row in rows
    )


# --- Calls ------------------------------------------------------------------------------------


def _calls(saga: Json, events: list[Json], entries: list[Json]) -> Finding:
    recorded = _recorded(saga, events)
    bodies: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        bodies[entry["key"]].add(entry["body_sha256"])
    arrived = Counter(entry["key"] for entry in entries)
    problems = [
        f"{key} came with several bodies" for key, found in bodies.items() if len(found) > 1
    ]
    problems += [
        f"{key} arrived {times} times, of which {recorded[key]} are recorded"
        for key, times in arrived.items()
        if times > recorded[key]
    ]
    if [event["seq"] for event in events] != list(range(1, len(events) + 1)):
        problems.append("the history has gaps")
    if problems:
        return Finding(False, "calls", "; ".join(problems))
    keys = f"{count(len(entries), 'call')} under {count(len(bodies), 'key')}"
    text = f"{keys}, one body per key, all of them in the history"
    return Finding(True, "calls", text)


def _recorded(saga: Json, events: list[Json]) -> Counter[str]:
    """How many attempts the history has for each key: a key of another form counts as none."""
    run, attempts = 1, Counter[str]()
    for event in events:
        data = event["data"]
        if event["kind"] == "retry_requested":
            run = data["run"]
        elif event["kind"] == "attempt_started":
            kind = CallKind(data["call"])
            attempts[idempotency_key(saga["id"], run, data["step"], kind)] += 1
    return attempts


# --- Money ------------------------------------------------------------------------------------


def net(entries: list[Json]) -> Decimal:
    """What these calls took from the customer in all."""
    return sum(_moves(entries), Decimal(0))


def _moves(entries: list[Json]) -> list[Decimal]:
    return [
        Decimal(entry["amount"]) * _TAKES[entry["step"]]
        for entry in entries
        if entry["outcome"] == "applied" and entry["step"] in _TAKES
    ]


def due(saga: Json) -> Decimal:
    """What a saga that has ended like this one should have taken."""
    if saga["status"] != "completed":
        return Decimal(0)
    sign = -1 if saga["type"] == "return_saga" else 1
    return sign * Decimal(saga["data"]["amount"])


def _money(saga: Json, entries: list[Json]) -> Finding:
    moved, wanted = net(entries), due(saga)
    if moved != wanted:
        return Finding(False, "money", f"{moved:+} for the shop, not {wanted:+}")
    moves = [f"{move} taken" if move > 0 else f"{-move} given back" for move in _moves(entries)]
    return Finding(True, "money", ", then ".join(moves) or "none was moved")


def count(number: int, noun: str) -> str:
    """The number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
