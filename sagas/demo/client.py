"""The demo as a client: of the orchestrator over its API, and of the shop's own pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

Json = dict[str, Any]

API = "/saga-orchestrator/api/v1/sagas"
HEALTH = "/saga/health"
_TIMEOUT = 30.0


class _Caller:
    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False  # everything is on this machine: no proxy, no .netrc

    def call(self, method: str, url: str, body: object = None) -> Any:
        """The answer's JSON. Raises requests.RequestException, also for an error status."""
        answer = self._session.request(method, url, json=body, timeout=_TIMEOUT)
        answer.raise_for_status()
        return answer.json()


class Orchestrator:
    """The saga API at the gateway's paths."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._caller = _Caller()

    def health(self) -> Json:
        """What it says of itself."""
        answer: Json = self._caller.call("GET", self.url + HEALTH)
        return answer

    def create(self, saga_type: str, data: Json) -> Json:
        """A new saga, not started yet."""
        answer: Json = self._post("", {"type": saga_type, "data": data})
        return answer

    def execute(self, saga_id: str) -> None:
        """Start it."""
        self._post(f"/{saga_id}/execute", {})

    def compensate(self, saga_id: str, reason: str) -> None:
        """Have all that it did taken back."""
        self._post(f"/{saga_id}/compensate", {"reason": reason})

    def saga(self, saga_id: str) -> Json:
        """The saga as it is now."""
        answer: Json = self._caller.call("GET", f"{self.url}{API}/{saga_id}")
        return answer

    def events(self, saga_id: str) -> list[Json]:
        """Its history."""
        answer: list[Json] = self._caller.call("GET", f"{self.url}{API}/{saga_id}/events")
        return answer

    def last_changed(self, limit: int) -> list[Json]:
        """The sagas that changed last, the newest change first."""
        url = f"{self.url}{API}?ordering=-updated_at&limit={limit}"
        answer: list[Json] = self._caller.call("GET", url)["results"]
        return answer

    def _post(self, path: str, body: Json) -> Any:
        return self._caller.call("POST", f"{self.url}{API}{path}", body)


class Shop:
    """The three participants, from the side that the orchestrator does not know."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        self.urls = dict(urls)
        self._caller = _Caller()

    def set_fault(self, service: str, switch: Json) -> None:
        """Have something go wrong."""
        self._caller.call("PUT", f"{self.urls[service]}/faults", switch)

    def ledger(self, saga_id: str) -> list[Json]:
        """Every call of the saga that arrived anywhere, in the order in which they came."""
        entries = []
        for url in self.urls.values():
            entries += self._caller.call("GET", f"{url}/ledger?saga_id={saga_id}")["entries"]
        return sorted(entries, key=lambda entry: (entry["at"], entry["seq"]))

    def state(self) -> dict[str, Json]:
        """What all effects together come to, by service."""
        return {name: self._caller.call("GET", f"{url}/state") for name, url in self.urls.items()}
