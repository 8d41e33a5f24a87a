"""How long the sagas of killed workers stood still, by the recorded events. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median

from tests.chaos.struck import Kill

DRIVING = ("claimed", "attempt_started")
"""What a worker records as it takes or drives a saga; the second opens a call."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One event of a saga."""

    saga_id: str
    seq: int
    kind: str
    actor: str
    at: float
    """Seconds since 1970, by the database's clock: the same machine's."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """A saga that was being driven when its worker was killed."""

    saga_id: str
    killed_at: float
    seconds: float | None
    """From the kill to the next event by another worker; None if there was none."""


def pid_of(actor: str) -> int:
    """The process id in a worker's name (host:pid:letters); 0 if the actor is none."""
    parts = actor.split(":")
    return int(parts[1]) if len(parts) == 3 and parts[1].isdecimal() else 0


def recoveries(kills: Sequence[Kill], marks: Iterable[Mark]) -> list[Recovery]:
    """What became of each saga that a killed worker was driving; marks sorted by saga and seq."""
    killed = {pid: kill.at for kill in kills for pid in kill.pids}
    found = []
    for saga_id, group in groupby(marks, key=lambda mark: mark.saga_id):
        events = list(group)
        for index, mark in enumerate(events):
            pid = pid_of(mark.actor)
            if pid not in killed or any(pid_of(e.actor) == pid for e in events[index + 1 :]):
                continue  # not a killed worker's, or not its last
            if mark.kind not in DRIVING:
                continue  # it had let the saga go, or ended it
            after = (e.at for e in events[index + 1 :] if e.kind in DRIVING)
            resumed = next(after, None)
            seconds = None if resumed is None else max(resumed - killed[pid], 0.0)
            found.append(Recovery(saga_id, killed[pid], seconds))
    return found


def longest_and_median(found: Sequence[Recovery]) -> tuple[float, float]:
    """Of those that went on; 0 if none did."""
    seconds = [recovery.seconds for recovery in found if recovery.seconds is not None]
    return (max(seconds), median(seconds)) if seconds else (0.0, 0.0)
