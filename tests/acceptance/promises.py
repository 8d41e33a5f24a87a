"""What the participants' ledgers must say of sagas that have ended."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

Entry = dict[str, Any]


def broken_promises(ledger: list[Entry], statuses: dict[str, str]) -> list[str]:
    """Each promise that the ledgers show to be broken; `statuses` by saga id."""
    by_saga: dict[str, list[Entry]] = defaultdict(list)
    for entry in ledger:
        by_saga[entry["saga_id"]].append(entry)
    found = [why for key in _keys(ledger) for why in key]
    for saga_id, status in statuses.items():
        found += _one(saga_id, status, by_saga[saga_id])
    return found


def _one(saga_id: str, status: str, entries: list[Entry]) -> list[str]:
    effects: Counter[tuple[str, str]] = Counter()
    net: Counter[str] = Counter()
    for entry in entries:
        if entry["outcome"] != "applied":
            continue
        effects[entry["step"], entry["kind"]] += 1
        action = entry["compensates"] or entry["key"]
        net[action] += 1 if entry["kind"] == "action" else -1
    found = [f"{saga_id}: {name} took effect {n} times" for name, n in effects.items() if n > 1]
    if status == "completed":
        undone = [step for step, kind in effects if kind == "compensation"]
        found += [f"{saga_id}: completed, but {step} was called" for step in undone]
        if len(effects) != 4:
            found.append(f"{saga_id}: completed with {len(effects)} of 4 effects")
    elif status == "compensated":
        # The stock that update_inventory took out comes back with the reservation.
        left = [key for key, n in net.items() if n and ":update_inventory:" not in key]
        found += [f"{saga_id}: compensated, but {key} is left" for key in left]
    else:
        found.append(f"{saga_id}: {status}")
    return found


def _keys(ledger: list[Entry]) -> list[list[str]]:
    bodies: dict[str, set[str]] = defaultdict(set)
    for entry in ledger:
        bodies[entry["key"]].add(entry["body_sha256"])
    return [[f"{key}: sent with different bodies"] for key, all_ in bodies.items() if len(all_) > 1]
