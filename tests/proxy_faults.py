"""The faults of the proxy, and which request meets which of them."""

from __future__ import annotations

import random
import threading
from collections import Counter
from dataclasses import dataclass

FAULTS = {
    "delay": "the request is passed on after `seconds`, whether or not its caller still waits",
    "reset_before": "an RST in place of the request: the server never sees it",
    "close_idle": "a connection that served a request is closed when the next one was read",
    "half_open": "the server answers, the caller hears nothing and the connection stays open",
    "reset_after": "an RST in place of the answer",
    "truncate": "half of the answer, then the end of the connection",
    "late": "the answer after `seconds`",
    "drip": "the answer byte by byte, `seconds` apart",
    "duplicate": "the request reaches the server twice; the first answer is passed on",
    "refuse": "connections are refused, and open ones ended, at once for `seconds` or until clear",
}


@dataclass(slots=True)
class Switch:
    """One fault as it was switched on."""

    name: str
    times: int | None
    """How many requests it still strikes; None for no limit."""

    probability: float
    seconds: float
    match: bytes

    def __post_init__(self) -> None:
        if self.name not in FAULTS:
            raise ValueError(f"{self.name!r} is none of {', '.join(FAULTS)}")


class Switches:
    """All that are on, the oldest first."""

    def __init__(self, struck: Counter[str], seed: int | None) -> None:
        self._struck = struck
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self._all: list[Switch] = []

    def add(self, switch: Switch) -> None:
        """Have it strike from now on."""
        with self._lock:
            self._all.append(switch)

    def clear(self) -> None:
        """Switch all off."""
        with self._lock:
            self._all.clear()

    def count(self, name: str) -> None:
        """Note that this fault struck."""
        with self._lock:
            self._struck[name] += 1

    def strike(self, request: bytes, *, is_first: bool) -> Switch | None:
        """The fault that this request meets, counted as struck."""
        with self._lock:
            for switch in self._all:
                if switch.times == 0 or switch.match not in request:
                    continue
                if switch.name == "close_idle" and is_first:
                    continue
                if self._chance.random() >= switch.probability:
                    continue
                if switch.times is not None:
                    switch.times -= 1
                self._struck[switch.name] += 1
                return switch
        return None
