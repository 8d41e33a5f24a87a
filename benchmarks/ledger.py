"""What the stand-in shop remembers of its calls, and whether that is what it should be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.workload import PAYMENT, effects, is_declined

_SHOWN = 5
"""Orders that are named when something is wrong with more."""


@dataclass(slots=True)
class Ledger:
    """A step has its effect once for each order; the key says whether a call is a repetition."""

    decline_every: int = 0
    calls: int = 0
    replays: int = 0
    declined: int = 0
    doubles: list[str] = field(default_factory=list)
    effects: dict[int, list[str]] = field(default_factory=dict)
    _keys: dict[tuple[int, str], str] = field(default_factory=dict)

    def call(self, order: int, step: str, key: str) -> bool:
        """Note a call; whether it is accepted."""
        self.calls += 1
        if step == PAYMENT and is_declined(order, self.decline_every):
            self.declined += 1
            return False
        known = self._keys.get((order, step))
        if known is None:
            self._keys[order, step] = key
            self.effects.setdefault(order, []).append(step)
        elif key and known == key:
            self.replays += 1
        else:
            self.doubles.append(f"{step} of order {order}")
        return True

    def document(self) -> dict[str, Any]:
        """All that is known, for `violations`."""
        return {
            "calls": self.calls,
            "replays": self.replays,
            "declined": self.declined,
            "doubles": self.doubles,
            "effects": self.effects,
        }


def violations(document: dict[str, Any], orders: Iterable[int], decline_every: int) -> list[str]:
    """What is not as it must be once the sagas of the orders have ended, each as a sentence."""
    found = [f"a second effect: {each}" for each in document["doubles"]]
    done = {int(number): steps for number, steps in document["effects"].items()}
    for number in orders:
        wanted, had = effects(number, decline_every), done.pop(number, [])
        if had != wanted:
            found.append(f"order {number} had {', '.join(had) or 'no effect'}")
    found += [f"order {number} was never asked for" for number in done]
    if len(found) > _SHOWN:
        found[_SHOWN:] = [f"and {len(found) - _SHOWN} more"]
    return found
