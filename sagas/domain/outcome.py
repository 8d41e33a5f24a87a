"""What became of one call to a participant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sagas.domain.state import Json


class Verdict(StrEnum):
    """What the answer to a call means for the saga."""

    SUCCEEDED = "succeeded"  # 2xx whose body parses and validates
    REFUSED = "refused"  # a business "no": never retried
    NOT_APPLIED = "not_applied"  # no connection was established: safe to retry
    IN_DOUBT = "in_doubt"  # it may or may not have taken effect: retried with the same key
    NOT_SENT = "not_sent"  # held back by the breaker: consumes no attempt
    BROKEN = "broken"  # the step's own code failed before anything was sent


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The verdict on one call, with what was sent and what came back."""

    verdict: Verdict
    output: Json | None = None
    """The validated answer, when it succeeded."""

    error: str = ""
    """Why it did not, in one sentence."""

    retry_after: timedelta | None = None
    """How long the participant, or the breaker, asks us to wait."""

    answer: Json | None = None
    """What came back: `status` and the first part of the `body`."""

    duration: timedelta = timedelta(0)
    """From before the connection to the last byte, by the monotonic clock."""
