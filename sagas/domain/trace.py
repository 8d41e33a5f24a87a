"""The distributed trace that a saga is part of (W3C trace context), and the ids of its spans.

Nothing of it is made at random: ids are derived from what is recorded, so that any process, after
any crash, names the same trace and the same spans without having stored them.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from uuid import UUID

MOST_STATE = 512
"""Characters of a `tracestate` that are kept; the specification asks for no more."""

LONGEST = 55 + 1 + MOST_STATE
"""Characters of a trace as it is stored."""

_SAMPLED = 0x01
_KNOWN_FLAGS = 0x03  # sampled, and: the trace id is random

_PARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})"
    r"-(?!0{32})(?P<trace_id>[0-9a-f]{32})"
    r"-(?!0{16})(?P<parent>[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})"
    r"(?P<more>-.*)?"
)
_MEMBER = re.compile(r"[a-z0-9][a-z0-9_\-*/@]{0,255}=[ -+\--<>-~]{0,255}[!-+\--<>-~]")
_MOST_MEMBERS = 32
_LONG_MEMBER = 128


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """A trace, and where in it a saga began."""

    trace_id: str
    """32 hexadecimal digits."""

    parent: str = ""
    """The client's span, 16 hexadecimal digits; empty where the saga began the trace."""

    flags: int = _SAMPLED
    state: str = ""
    """The client's `tracestate`, which is passed on."""

    @property
    def sampled(self) -> bool:
        """Whether the client records its spans; where there is none, that others may."""
        return bool(self.flags & _SAMPLED)

    @property
    def unsampled(self) -> Trace:
        """The same, not to be recorded."""
        return replace(self, flags=self.flags & ~_SAMPLED)

    @property
    def stored(self) -> str:
        """What is kept with the saga: nothing where its id says all."""
        if not self.parent:
            return ""
        return f"{self.header(self.parent)} {self.state}".rstrip()

    def header(self, span: str) -> str:
        """The `traceparent` of a call that is this span's."""
        return f"00-{self.trace_id}-{span}-{self.flags:02x}"


def read(traceparent: str, tracestate: str = "") -> Trace | None:
    """The trace that a client's headers name; None, as the specification says, if they are wrong.

    Several `tracestate` headers are joined with commas; several `traceparent` are wrong.
    """
    found = _PARENT.fullmatch(traceparent)
    if found is None or (found["version"] == "00" and found["more"]):
        return None
    return Trace(
        trace_id=found["trace_id"],
        parent=found["parent"],
        flags=int(found["flags"], 16) & _KNOWN_FLAGS,
        state=_state(tracestate),
    )


@lru_cache(maxsize=1024)
def of_saga(saga_id: UUID, stored: str) -> Trace:
    """The saga's trace: the one that is kept with it, or else its own."""
    traceparent, _, tracestate = stored.partition(" ")
    # Hashed: the bits of a UUIDv7 that samplers look at are not random.
    return read(traceparent, tracestate) or Trace(trace_id=_digits(32, "trace", saga_id))


def attempt_span(key: str, attempt: int, epoch: int) -> str:
    """The span of one attempt of the call with that idempotency key, in 16 digits.

    A person's retry counts attempts anew, but under a later claim: the epoch tells them apart.
    """
    return _digits(16, "attempt", key, attempt, epoch)


def run_span(saga_id: UUID, started_at: datetime) -> str:
    """The span of what the operation at that time started, in 16 digits."""
    return _digits(16, "run", saga_id, started_at.astimezone(UTC).isoformat())


def event_span(saga_id: UUID, seq: int) -> str:
    """The span of a moment of the saga's history, by the event's number, in 16 digits."""
    return _digits(16, "event", saga_id, seq)


def _digits(number: int, *parts: object) -> str:
    text = ":".join(map(str, parts))
    return hashlib.sha256(text.encode()).hexdigest()[:number]


def _state(header: str) -> str:
    """The list without what is too much of it; nothing if a part of it is no member."""
    members = [text for part in header.split(",") if (text := part.strip(" \t"))]
    if len(members) > _MOST_MEMBERS or not all(map(_MEMBER.fullmatch, members)):
        return ""
    if _length(members) > MOST_STATE:
        members = [member for member in members if len(member) <= _LONG_MEMBER]
    while _length(members) > MOST_STATE:
        members.pop()  # the oldest is the last
    return ",".join(members)


def _length(members: list[str]) -> int:
    return sum(map(len, members)) + len(members) - 1
