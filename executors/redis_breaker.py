"""A circuit breaker that all processes share through Redis."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from redis.exceptions import RedisError

from executors.breaker import (
    PROBE_LOOK,
    Culprit,
    Limits,
    LocalBreaker,
    Permit,
    Phase,
    Standing,
    Unshared,
)
from sagas.engine.script import Script

logger = logging.getLogger(__name__)

_LEAVE_ALONE = 1.0
"""Seconds for which Redis is not asked again after it failed to answer: each try may take as
long as its time-out, while a call waits."""


_BELIEVED = 0.1
"""Seconds for which a process believes that a breaker is still closed; a tenth of the recovery
time at most. That is how long others may go on sending after one process's failure opened it."""

# Times are Redis's own, so that the clocks of the workers do not matter. The state of one
# breaker is `open_until` (ms) under one key, its failures a sorted set, its probe a token. Since
# when it is open, and by whom, is beside them: workers of before know nothing of it.
_ENTER = Script("""
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local open_until = tonumber(redis.call('GET', KEYS[1]) or '-1')
if open_until < 0 then return 0 end
if now < open_until then return open_until - now end
if redis.call('SET', KEYS[3], ARGV[1], 'NX', 'PX', ARGV[2]) then return -1 end
local left = math.max(redis.call('PTTL', KEYS[3]), 1)
local age = ARGV[2] - left
return math.min(left, math.max(age, tonumber(ARGV[3])))
""")

_SUCCEEDED = Script("""
if redis.call('GET', KEYS[3]) == ARGV[1] then
  redis.call('DEL', KEYS[1], KEYS[3], KEYS[4])
end
return 0
""")

_FAILED = Script("""
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local probe, threshold, window, recovery = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
if probe ~= '' then
  if redis.call('GET', KEYS[3]) == probe then
    redis.call('SET', KEYS[1], string.format('%d', now + recovery))
    redis.call('DEL', KEYS[3])
    redis.call('HSETNX', KEYS[4], 'since', string.format('%d', now))
    redis.call('HSET', KEYS[4], 'by', ARGV[6])
  end
  return 0
end
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('ZADD', KEYS[2], now, ARGV[5])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - window)
redis.call('PEXPIRE', KEYS[2], window)
if redis.call('ZCARD', KEYS[2]) >= threshold then
  redis.call('SET', KEYS[1], string.format('%d', now + recovery))
  redis.call('HSET', KEYS[4], 'since', string.format('%d', now), 'by', ARGV[6])
  redis.call('DEL', KEYS[2])
end
return 0
""")

_LOOK = Script("""
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local open_until = redis.call('GET', KEYS[1])
if not open_until then
  return {redis.call('ZCOUNT', KEYS[2], '(' .. string.format('%d', now - ARGV[1]), '+inf')}
end
local story = redis.call('HMGET', KEYS[4], 'since', 'by')
local open = now < tonumber(open_until) and 1 or 0
return {0, open, open_until, story[1] or '', story[2] or ''}
""")

_RESET = Script("return redis.call('DEL', unpack(KEYS))")


_SENT = Permit()


class _Away(Exception):
    """Redis does not answer, or did not a moment ago."""


class RedisBreaker:
    """A breaker shared by all processes; while Redis is away, each process has its own."""

    def __init__(self, name: str, limits: Limits, client: Callable[[], Any]) -> None:
        self._name = name
        self._limits = limits
        self._client = client
        self._local = LocalBreaker(limits)
        self._away_until = 0.0
        self._believe = min(_BELIEVED, limits.recovery / 10)
        self._closed_until = 0.0
        self._failures = 0
        # The braces keep the keys of one breaker together in a Redis cluster.
        prefix = f"saga-breaker:{{{name}}}"
        self._keys = [f"{prefix}:{part}" for part in ("open", "failures", "probe", "story")]

    def enter(self) -> Permit:
        """Whether a call may be sent now.

        While it is well, Redis is not asked for each call. After a failure of this process it is
        asked at once, and while the breaker is open or probes, each time.
        """
        now, failures = time.monotonic(), self._failures
        if now < self._closed_until:
            return _SENT
        token = uuid4().hex
        try:
            wait = int(self._run(_ENTER, token, _ms(self._limits.probe), _ms(PROBE_LOOK)))
        except _Away:
            return self._local.enter()
        if wait < 0:
            return Permit(probe=token)
        if wait:
            return Permit(wait=timedelta(milliseconds=wait))
        self._closed_until = now + self._believe
        if failures != self._failures:
            self._closed_until = 0.0  # the answer may be older than the failure
        return _SENT

    def succeeded(self, permit: Permit) -> None:
        """Only a probe's success means anything: it closes the breaker."""
        if not permit.probe:
            return
        self._local.succeeded(permit)
        try:
            self._run(_SUCCEEDED, permit.probe)
        except _Away:
            logger.debug("the probe's success stays unknown; another follows")

    def failed(self, permit: Permit, by: Culprit | None = None) -> None:
        """Count the failure; open when it is one too many, or a probe's."""
        window, recovery = _ms(self._limits.window), _ms(self._limits.recovery)
        threshold, member = self._limits.threshold, uuid4().hex
        culprit = "" if by is None else json.dumps(asdict(by))
        try:
            self._run(_FAILED, permit.probe, threshold, window, recovery, member, culprit)
        except _Away:
            self._local.failed(permit, by)
        finally:
            # Not before: who asked meanwhile may have been told of how it stood before.
            self._failures += 1
            self._closed_until = 0.0

    def look(self) -> Standing:
        """How it stands for all processes; while Redis is away, in this one."""
        try:
            failures, *opened = self._run(_LOOK, _ms(self._limits.window))
        except _Away:
            return self._local.look()
        if not opened:
            return Standing(phase=Phase.CLOSED, shared=True, failures=int(failures))
        is_open, until, since, by = opened
        return Standing(
            phase=Phase.OPEN if int(is_open) else Phase.PROBING,
            shared=True,
            since=_moment(since) if since else None,
            until=_moment(until),
            by=_culprit(by),
        )

    def reset(self) -> None:
        """Close it for all processes. Raises Unshared while Redis is away."""
        try:
            self._run(_RESET)
        except _Away as error:
            raise Unshared("Redis does not answer") from error
        self._local.reset()

    def _run(self, script: Script, *arguments: object) -> Any:
        """What the script returns. Raises _Away, at once if Redis failed a moment ago."""
        if time.monotonic() < self._away_until:
            raise _Away
        try:
            return script.run(self._client(), self._keys, arguments)
        except (RedisError, OSError) as error:
            self._away_until = time.monotonic() + _LEAVE_ALONE
            logger.warning(
                "Redis away, the breaker of %s is this process's own: %s", self._name, error
            )
            raise _Away from error


def _ms(seconds: float) -> int:
    return max(round(seconds * 1000), 1)


def _moment(ms: bytes) -> datetime:
    return datetime.fromtimestamp(int(ms) / 1000, UTC)


def _culprit(text: bytes | str | None) -> Culprit | None:
    """The call that was noted; what another version noted is left out where it is not known."""
    told = json.loads(text) if text else None
    if not isinstance(told, dict):
        return None
    return Culprit(**{field.name: str(told.get(field.name, "")) for field in fields(Culprit)})
