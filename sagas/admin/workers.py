"""Which workers are alive, and which sagas they have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from sagas import figures
from sagas.admin import links
from sagas.admin.parts import ago
from sagas.engine import presence
from sagas.figures import Lease

_NAMED = 3
"""Sagas of a worker that are named; the rest is a number with its list."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Busy:
    """A worker and what it has."""

    name: str
    host: str
    since: str
    number: int
    sagas: list[tuple[str, str]]
    """Address and end of the id of some of them."""

    url: str

    @property
    def more(self) -> int:
        """How many there are besides those that are named."""
        return self.number - len(self.sagas)


@dataclass(frozen=True, kw_only=True, slots=True)
class Workers:
    """Those that are alive; and those that are gone, with what they had."""

    known: bool
    """Whether the database knows who is alive."""

    alive: list[Busy]
    gone: list[Busy]


def workers(now: datetime) -> Workers:
    """All workers; a saga is theirs until its lease ends, or somebody ends it for them."""
    had: dict[str, list[Lease]] = {}
    for lease in figures.leases(now + timedelta(seconds=settings.SAGA_LEASE)):
        had.setdefault(lease.owner, []).append(lease)
    living = presence.living()
    if living is None:
        return Workers(known=False, alive=[_busy(o, "", had[o]) for o in sorted(had)], gone=[])
    alive = []
    for worker in living:
        owner = next((name for name in had if worker.is_called(name)), worker.name)
        since = "" if worker.since is None else ago(worker.since, now)
        alive.append(_busy(owner, since, had.pop(owner, ())))
    return Workers(known=True, alive=alive, gone=[_busy(o, "", had[o]) for o in sorted(had)])


def _busy(owner: str, since: str, leases: Iterable[Lease]) -> Busy:
    leases = list(leases)
    return Busy(
        name=owner,
        host=owner.rsplit(":", 2)[0],
        since=since,
        number=len(leases),
        sagas=[(links.saga(lease.saga_id), str(lease.saga_id)[-12:]) for lease in leases[:_NAMED]],
        url=links.sagas(links.of_worker(owner)),
    )
