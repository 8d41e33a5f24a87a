"""What workers do."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.conf import settings

from sagas import runtime, selectors
from sagas.engine.presence import Presence

_AT_ONCE = 1000
"""Leases that are looked at in one go: more than the threads of most fleets."""


def drive(saga_id: UUID, stopping: Callable[[], bool] = lambda: False) -> None:
    """Drive the saga as far as it goes now, if it is due and no other worker does."""
    runtime.engine().drive(saga_id, stopping=stopping)


def take_from_the_gone(presence: Presence) -> None:
    """Have the sagas of workers that are gone be due now; called again and again by a worker."""
    leased = selectors.leases(settings.SAGA_LEASE, _AT_ONCE)
    gone = presence.gone({owner for _, owner in leased})
    for saga_id, owner in leased:
        if owner in gone:
            runtime.engine().lose(saga_id, owner)
