"""One call that arrived at a participant."""

import hashlib
from dataclasses import dataclass
from email.message import Message

from shop import money
from shop.answer import Refused
from shop.body import Body
from shop.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class Call:
    """The headers and the body of a call, exactly as sent."""

    endpoint: Endpoint
    at: str
    step: str
    key: str | None
    compensates: str | None
    saga_id: str | None
    run: str | None
    body_sha256: str | None
    parsed: Body | Refused

    @classmethod
    def of(cls, endpoint: Endpoint, at: str, headers: Message, raw: bytes | None) -> "Call":
        """Return the call; a body that cannot be read refuses it later, once it is recorded."""
        parsed: Body | Refused
        try:
            parsed = Body.parse(raw)
        except Refused as refusal:
            parsed = refusal
        return cls(
            endpoint=endpoint,
            at=at,
            step=headers.get("Saga-Step") or endpoint.step,
            key=headers.get("Idempotency-Key") or None,
            compensates=headers.get("Compensates") or None,
            saga_id=headers.get("Saga-Id") or None,
            run=headers.get("Saga-Run") or None,
            body_sha256=None if raw is None else hashlib.sha256(raw).hexdigest(),
            parsed=parsed,
        )

    @property
    def body(self) -> Body:
        """The body; refuses the call if it could not be read."""
        if isinstance(self.parsed, Refused):
            raise self.parsed
        return self.parsed

    @property
    def amount(self) -> int | None:
        """The cents that the body asks for, if it names any."""
        return None if isinstance(self.parsed, Refused) else money.cents(self.field("amount"))

    def field(self, name: str) -> object:
        """Return a top-level field of the body, or None."""
        return None if isinstance(self.parsed, Refused) else self.parsed.fields.get(name)
