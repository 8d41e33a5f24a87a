"""The circuit breaker in front of a participant (M. Nygard, "Release It!", 2007).

After `threshold` failures within `window` seconds it opens for `recovery` seconds; then one
call at a time, fleet-wide, may probe. While it is open nothing is sent and no attempt is
consumed.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock
from typing import Any, Protocol
from uuid import uuid4

from django.conf import settings
from django_redis import get_redis_connection
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)


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
                return Permit(wait=timedelta(seconds=self._probe_until - now))
            self._probe, self._probe_until = uuid4().hex, now + self._limits.probe
            return Permit(probe=self._probe)

    def succeeded(self, permit: Permit) -> None:
        """A probe that succeeds closes the breaker; other successes change nothing."""
        with self._lock:
            if permit.probe and permit.probe == self._probe:
                self._failures.clear()
                self._open_until, self._probe = None, ""

    def failed(self, permit: Permit) -> None:
        """Count the failure; open when it is one too many, or a probe's."""
        with self._lock:
            now = self._clock()
            if permit.probe:
                if permit.probe == self._probe:
                    self._open_until, self._probe = now + self._limits.recovery, ""
                return
            if self._open_until is not None:
                return
            self._failures.append(now)
            while self._failures[0] <= now - self._limits.window:
                self._failures.popleft()
            if len(self._failures) >= self._limits.threshold:
                self._failures.clear()
                self._open_until = now + self._limits.recovery


# Times are Redis's own, so that the clocks of the workers do not matter. The state of one
# breaker is `open_until` (ms) under one key, its failures a sorted set, its probe a token.
_ENTER = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local open_until = tonumber(redis.call('GET', KEYS[1]) or '-1')
if open_until < 0 then return 0 end
if now < open_until then return open_until - now end
if redis.call('SET', KEYS[3], ARGV[1], 'NX', 'PX', ARGV[2]) then return -1 end
return math.max(redis.call('PTTL', KEYS[3]), 1)
"""

_SUCCEEDED = """
if redis.call('GET', KEYS[3]) == ARGV[1] then redis.call('DEL', KEYS[1], KEYS[2], KEYS[3]) end
return 0
"""

_FAILED = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local probe, threshold, window, recovery = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
if probe ~= '' then
  if redis.call('GET', KEYS[3]) == probe then
    redis.call('SET', KEYS[1], string.format('%d', now + recovery))
    redis.call('DEL', KEYS[3])
  end
  return 0
end
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('ZADD', KEYS[2], now, ARGV[5])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - window)
redis.call('PEXPIRE', KEYS[2], window)
if redis.call('ZCARD', KEYS[2]) >= threshold then
  redis.call('SET', KEYS[1], string.format('%d', now + recovery))
  redis.call('DEL', KEYS[2])
end
return 0
"""


class RedisBreaker:
    """A breaker shared by all processes; while Redis is away, each process has its own."""

    def __init__(self, name: str, limits: Limits, client: Callable[[], Any]) -> None:
        self._limits = limits
        self._client = client
        self._local = LocalBreaker(limits)
        prefix = f"saga-breaker:{{{name}}}"
        self._keys = [f"{prefix}:open", f"{prefix}:failures", f"{prefix}:probe"]

    def enter(self) -> Permit:
        """Whether a call may be sent now."""
        token = uuid4().hex
        probe_ms = round(self._limits.probe * 1000)
        try:
            wait = int(self._run(_ENTER, token, probe_ms))
        except (RedisError, OSError) as error:
            logger.warning("breaker state away, using this process's own: %s", error)
            return self._local.enter()
        if wait < 0:
            return Permit(probe=token)
        return Permit(wait=timedelta(milliseconds=wait)) if wait else Permit()

    def succeeded(self, permit: Permit) -> None:
        """Only a probe's success means anything: it closes the breaker."""
        self._local.succeeded(permit)
        if permit.probe:
            self._tell(_SUCCEEDED, permit.probe)

    def failed(self, permit: Permit) -> None:
        """Count the failure; open when it is one too many, or a probe's."""
        limits = self._limits
        window, recovery = round(limits.window * 1000), round(limits.recovery * 1000)
        told = self._tell(_FAILED, permit.probe, limits.threshold, window, recovery, uuid4().hex)
        if not told:
            self._local.failed(permit)

    def _tell(self, script: str, *arguments: object) -> bool:
        try:
            self._run(script, *arguments)
        except (RedisError, OSError) as error:
            logger.warning("breaker state away: %s", error)
            return False
        return True

    def _run(self, script: str, *arguments: object) -> Any:
        return self._client().eval(script, len(self._keys), *self._keys, *arguments)


def breaker_for(participant: str) -> Breaker:
    """The participant's breaker, shared through Redis where there is one."""
    limits = Limits(**settings.SAGA_BREAKER, probe=settings.SAGA_LEASE)
    if settings.SAGA_SHARED_STATE:
        return RedisBreaker(participant, limits, lambda: get_redis_connection("default"))
    return LocalBreaker(limits)
