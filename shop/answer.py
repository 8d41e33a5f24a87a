"""What a participant says to a call."""

import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a JSON text; kept as text so that a replay is byte-identical."""

    status: int
    text: str

    @classmethod
    def of(cls, status: int, fields: Mapping[str, object]) -> "Answer":
        """Return the answer with these fields as its JSON body."""
        return cls(status, json.dumps(fields, default=str))


class Refused(Exception):
    """The call has no effect, for a reason that its caller is told."""

    def __init__(self, status: int, code: str, detail: str, outcome: str = "refused") -> None:
        super().__init__(detail)
        self.answer = Answer.of(status, {"code": code, "detail": detail})
        self.outcome = outcome
