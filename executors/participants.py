"""The services that steps call: where they are, their connections and their breakers."""

from __future__ import annotations

from functools import cache
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django_redis import get_redis_connection

from executors import credentials
from executors.answer_reader import Answer
from executors.base import Request
from executors.breaker import Breaker, Limits, LocalBreaker
from executors.redis_breaker import RedisBreaker
from executors.transport import Connections


class Participant:
    """A service at a fixed address; clients' data never chooses where a call goes."""

    def __init__(self, name: str, url: str) -> None:
        parsed = urlsplit(url)
        if parsed.scheme not in ("http", "https") or not parsed.hostname:
            raise ImproperlyConfigured(f"the address of participant {name!r} is not an http URL")
        self.name = name
        self.breaker = _breaker(name)
        self._prefix = parsed.path.rstrip("/")
        self._connections = Connections(
            parsed, keep=settings.SAGA_WORKER_THREADS, max_body=settings.SAGA_MAX_ANSWER_BYTES
        )

    def send(self, request: Request, headers: dict[str, str], deadline: float) -> Answer:
        """One call, sent at most once. Raises NotReached or NoAnswer."""
        path, body = self._prefix + request.path, request.body.encode()
        headers = headers | credentials.headers(self.name)
        return self._connections.send(request.method, path, body, headers, deadline=deadline)


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


def _breaker(participant: str) -> Breaker:
    """The participant's breaker, shared through Redis where there is one."""
    numbers = settings.SAGA_BREAKER
    limits = Limits(
        threshold=int(numbers["threshold"]),
        window=numbers["window"],
        recovery=numbers["recovery"],
        probe=settings.SAGA_LEASE,
    )
    if settings.SAGA_SHARED_STATE:
        return RedisBreaker(participant, limits, lambda: get_redis_connection("default"))
    return LocalBreaker(limits)
