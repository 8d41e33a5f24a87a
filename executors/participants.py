"""The services that steps call: where they are, their connections and their breakers."""

from __future__ import annotations

from functools import cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from urllib3.util import parse_url

from executors import transport
from executors.base import Request
from executors.breaker import Breaker, breaker_for


class Participant:
    """A service at a fixed address; clients' data never chooses where a call goes."""

    def __init__(self, name: str, url: str) -> None:
        parsed = parse_url(url)
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ImproperlyConfigured(f"the address of participant {name!r} is not an http URL")
        self.name = name
        self.breaker: Breaker = breaker_for(name)
        self._prefix = (parsed.path or "").rstrip("/")
        self._pool = transport.pool_for(parsed, settings.SAGA_WORKER_THREADS)

    def send(
        self, request: Request, headers: dict[str, str], deadline: float
    ) -> tuple[int, dict[str, str], bytes]:
        """One call: status, headers in lower case, body. Raises as `transport.send` does."""
        return transport.send(
            self._pool,
            request.method,
            self._prefix + request.path,
            request.body.encode(),
            headers,
            deadline=deadline,
            max_body=settings.SAGA_MAX_ANSWER_BYTES,
        )


class Participants:
    """All participants that the settings name."""

    def __init__(self, addresses: dict[str, str]) -> None:
        self._all = {name: Participant(name, url) for name, url in addresses.items()}

    def get(self, name: str) -> Participant:
        """The participant of that name. Raises ImproperlyConfigured if it has no address."""
        try:
            return self._all[name]
        except KeyError:
            raise ImproperlyConfigured(
                f"participant {name!r} has no address: set PARTICIPANT_{name.upper()}_URL"
            ) from None


@cache
def participants() -> Participants:
    """The participants of this process; `cache_clear` after a change of settings."""
    return Participants(dict(settings.SAGA_PARTICIPANTS))
