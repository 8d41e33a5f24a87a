"""The circuit breaker in front of a participant (M. Nygard, "Release It!", 2007).

After `threshold` failures within `window` seconds it opens for `recovery` seconds; then one
call at a time, fleet-wide, may probe. While it is open nothing is sent and no attempt is
consumed.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from threading import Lock
from typing import Protocol
from uuid import uuid4

PROBE_LOOK = 1.0
"""Seconds after which a call that waits for another's probe asks again, at the earliest.

Most probes end sooner. One that has taken longer will probably take as long again; and each look
costs a waiting saga a claim and three events.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """When a breaker opens, and for how long; seconds."""

    threshold: int
    window: float
    recovery: float
    probe: float
    """A probe that is not heard of for so long is given up, and another may be sent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Permit:
    """The breaker's answer to a call that wants to be sent."""

    wait: timedelta | None = None
    """How long to wait before asking again; None when the call may be sent."""

    probe: str = ""
    """The probe's token, if this call is one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Culprit:
    """The call whose failure opened a breaker."""

    saga_id: str
    saga_type: str
    step: str
    error: str
    worker: str


class Phase(StrEnum):
    """What a breaker does with the next call."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"  # its recovery time is over: one call at a time is sent


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How a breaker stands now."""

    phase: Phase
    shared: bool
    """Whether all processes have it, or this one alone."""

    failures: int = 0
    """Within the window, while it is closed."""

    since: datetime | None = None
    """When it opened; a probe that failed since then changes nothing about it."""

    until: datetime | None = None
    """Until when no call is sent."""

    by: Culprit | None = None
    """Whose failure opened it, or was the last probe's; None where that was not said."""


class Unshared(Exception):
    """What all processes share cannot be changed now; says why."""


def held_by(participant: str) -> str:
    """Why a saga waits when the breaker of that participant lets no call through."""
    return f"the circuit breaker of {participant!r} is open"


class Breaker(Protocol):
    """What a call asks before, and tells after."""

    def enter(self) -> Permit:
        """Whether a call may be sent now."""
        ...

    def succeeded(self, permit: Permit) -> None:
        """The participant answered."""
        ...

    def failed(self, permit: Permit, by: Culprit | None = None) -> None:
        """The participant did not answer usefully, or not at all."""
        ...

    def look(self) -> Standing:
        """How it stands; changes nothing."""
        ...

    def reset(self) -> None:
        """Close it and forget its failures. Raises Unshared, having reset nothing."""
        ...


class LocalBreaker:
    """A breaker for one process."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._lock = Lock()
        self._failures: deque[float] = deque()
        self._open_until: float | None = None
        self._since: datetime | None = None
        self._by: Culprit | None = None
        self._probe = ""
        self._probe_until = 0.0

    def enter(self) -> Permit:
        """Whether a call may be sent now."""
        with self._lock:
            now = self._clock()
            if self._open_until is None:
                return Permit()
            if now < self._open_until:
                return Permit(wait=timedelta(seconds=self._open_until - now))
            if self._probe and now < self._probe_until:
                left = self._probe_until - now
                age = self._limits.probe - left
                return Permit(wait=timedelta(seconds=min(left, max(age, PROBE_LOOK))))
            self._probe, self._probe_until = uuid4().hex, now + self._limits.probe
            return Permit(probe=self._probe)

    def succeeded(self, permit: Permit) -> None:
        """A probe that succeeds closes the breaker; other successes change nothing."""
        with self._lock:
            if self._is_current(permit):
                self._open_until, self._probe = None, ""

    def failed(self, permit: Permit, by: Culprit | None = None) -> None:
        """Count the failure; open when it is one too many, or a probe's."""
        with self._lock:
            now = self._clock()
            if self._is_current(permit):
                self._open_until, self._probe, self._by = now + self._limits.recovery, "", by
            if permit.probe or self._open_until is not None:
                return
            self._failures.append(now)
            while self._failures[0] <= now - self._limits.window:
                self._failures.popleft()
            if len(self._failures) >= self._limits.threshold:
                self._failures.clear()
                self._open_until = now + self._limits.recovery
                self._since, self._by = datetime.now(UTC), by

    def look(self) -> Standing:
        """How it stands in this process."""
        with self._lock:
            now = self._clock()
            if self._open_until is None:
                start = now - self._limits.window
                recent = sum(failure > start for failure in self._failures)
                return Standing(phase=Phase.CLOSED, shared=False, failures=recent)
            return Standing(
                phase=Phase.OPEN if now < self._open_until else Phase.PROBING,
                shared=False,
                since=self._since,
                until=datetime.now(UTC) + timedelta(seconds=self._open_until - now),
                by=self._by,
            )

    def reset(self) -> None:
        """Close it and forget its failures."""
        with self._lock:
            self._open_until, self._probe = None, ""
            self._failures.clear()

    def _is_current(self, permit: Permit) -> bool:
        """Whether the permit is that of the probe under way, and not of one given up."""
        current = bool(permit.probe) and permit.probe == self._probe
        return current and self._clock() < self._probe_until
