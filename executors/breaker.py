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
from datetime import timedelta
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


class Breaker(Protocol):
    """What a call asks before, and tells after."""

    def enter(self) -> Permit:
        """Whether a call may be sent now."""
        ...

    def succeeded(self, permit: Permit) -> None:
        """The participant answered."""
        ...

    def failed(self, permit: Permit) -> None:
        """The participant did not answer usefully, or not at all."""
        ...


class LocalBreaker:
    """A breaker for one process."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._lock = Lock()
        self._failures: deque[float] = deque()
        self._open_until: float | None = None
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

    def failed(self, permit: Permit) -> None:
        """Count the failure; open when it is one too many, or a probe's."""
        with self._lock:
            now = self._clock()
            if self._is_current(permit):
                self._open_until, self._probe = now + self._limits.recovery, ""
            if permit.probe or self._open_until is not None:
                return
            self._failures.append(now)
            while self._failures[0] <= now - self._limits.window:
                self._failures.popleft()
            if len(self._failures) >= self._limits.threshold:
                self._failures.clear()
                self._open_until = now + self._limits.recovery

    def _is_current(self, permit: Permit) -> bool:
        """Whether the permit is that of the probe under way, and not of one given up."""
        current = bool(permit.probe) and permit.probe == self._probe
        return current and self._clock() < self._probe_until
