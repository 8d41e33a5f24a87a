"""A fault switch: what goes wrong, with which calls."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from shop.answer import Answer, Refused
from shop.body import Body
from shop.call import Call
from shop.reply import Manner, Reply

_PREVENTING = {"decline", "error", "redirect", "reset_before", "hang"}
_DISTORTING = {"delay", "late", "error_after", "reset_after", "garbage", "truncated"} | {
    *("drip", "interim", "empty", "no_content", "wrong_fields", "oversized", "bomb")
}
_NAMES = _PREVENTING | _DISTORTING
_FIELDS = {"step", "fault", "times", "seconds", "status", "retry_after", "location", "match"}
_MANNERS: dict[str, Manner] = {
    "reset_before": "reset",
    "reset_after": "reset",
    "truncated": "truncated",
    "hang": "silent",
    "interim": "interim",
    "drip": "drip",
    "oversized": "oversized",
    "bomb": "bomb",
}
_STATUS = {"error": (500, 400, 599), "redirect": (307, 300, 399)}  # default, least, most
_GARBAGE = "<html>It works!</html>"


@dataclass(frozen=True, slots=True)
class Fault:
    """One switch as it was set."""

    name: str
    step: str | None
    times: int | None
    seconds: float
    status: int
    retry_after: str | None
    location: str | None
    match: dict[str, Any]

    @classmethod
    def parse(cls, body: Body) -> "Fault":
        """Return the switch that a PUT describes; a misspelt one is refused, not ignored."""
        fields = body.fields
        if unknown := sorted(fields.keys() - _FIELDS):
            raise Refused(400, "malformed_body", f"unknown fields: {', '.join(unknown)}")
        name, match = fields.get("fault"), fields.get("match") or {}
        if not isinstance(name, str) or name not in _NAMES:
            raise Refused(400, "unknown_fault", f"fault must be one of {sorted(_NAMES)}")
        if not isinstance(match, dict):
            raise Refused(400, "malformed_body", "match must be an object")
        times = fields.get("times")
        status, least, most = _STATUS.get(name, _STATUS["error"])
        return cls(
            name=name,
            step=body.optional_reference("step"),
            times=None if times is None else int(_number("times", times, 1, 10**9)),
            seconds=_number("seconds", fields.get("seconds", 1), 0, 3600),
            status=int(_number("status", fields.get("status", status), least, most)),
            retry_after=_header(body, "retry_after"),
            location=_header(body, "location"),
            match=match,
        )

    @property
    def prevents(self) -> bool:
        """Whether it strikes before the effect, which then does not come about."""
        return self.name in _PREVENTING

    def strikes(self, call: Call) -> bool:
        """Tell whether this call is one of those meant."""
        headers = {"saga_id": call.saga_id, "run": call.run}
        return self.step in (None, call.step) and all(
            headers[name] == str(wanted) if name in headers else call.field(name) == wanted
            for name, wanted in self.match.items()
        )

    def instead(self, decline_status: int) -> Reply:
        """Return the reply of a call that it prevented."""
        if self.name == "decline":
            detail = "a fault switch declines this call"
            return Reply(Answer.of(decline_status, {"code": "declined", "detail": detail}))
        if self.name in ("error", "redirect"):
            return self._error()
        return Reply(None, _MANNERS[self.name], self.seconds if self.name == "hang" else 0)

    def distort(self, answer: Answer) -> Reply:
        """Return the reply that the caller sees instead of this answer."""
        match self.name:
            case "error_after":
                return self._error()
            case "late":
                return Reply(answer, wait=self.seconds)
            case "garbage":
                return Reply(Answer(200, _GARBAGE))
            case "empty":
                return Reply(Answer(answer.status, ""))
            case "no_content":
                return Reply(Answer(204, ""))
            case "wrong_fields":
                return Reply(Answer.of(answer.status, {"wrong": ["fields"]}))
        manner = _MANNERS.get(self.name, "plain")
        return Reply(answer, manner, self.seconds if manner == "drip" else 0)

    def _error(self) -> Reply:
        error = {"code": "fault", "detail": "a fault switch answers this call with an error"}
        headers = {"Retry-After": self.retry_after, "Location": self.location}
        sent = {name: value for name, value in headers.items() if value is not None}
        return Reply(Answer.of(self.status, error), headers=sent)


def _header(body: Body, name: str) -> str | None:
    value = body.optional_reference(name)
    if value is not None and not (value.isascii() and value.isprintable()):
        raise Refused(400, "malformed_body", f"{name} must be fit for a header")
    return value


def _number(name: str, value: object, least: int, most: int) -> float:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise Refused(400, "malformed_body", f"{name} must be a number")
    if not least <= value <= most:
        raise Refused(400, "malformed_body", f"{name} must be from {least} to {most}")
    return float(value)
