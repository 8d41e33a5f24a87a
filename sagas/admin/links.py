"""Addresses of the list of sagas, filtered, and of a saga's page."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from django.urls import reverse

from sagas.domain.state import Direction, SagaStatus
from sagas.figures import Group

IN_PROGRESS = {"status__exact": SagaStatus.IN_PROGRESS.value}
IN_DOUBT = {"in_doubt__exact": "1"}
COMPENSATING = {**IN_PROGRESS, "direction__exact": Direction.COMPENSATING.value}


def status(name: str) -> dict[str, str]:
    """The filter of the sagas of that status."""
    return {"status__exact": name}


def retrying(now: datetime) -> dict[str, str]:
    """The filter of the sagas that wait for another attempt."""
    return {**IN_PROGRESS, "owner__exact": "", "waiting__exact": "", "due_at__gt": _minute(now)}


def waiting(why: str) -> dict[str, str]:
    """The filter of the sagas that wait for that."""
    return {**IN_PROGRESS, "waiting__exact": why}


def due_before(at: datetime) -> dict[str, str]:
    """The filter of the sagas that were due by then."""
    return {"due_at__lte": _minute(at)}


def past_deadline(now: datetime) -> dict[str, str]:
    """The filter of the sagas that should have finished by now."""
    return {**IN_PROGRESS, "deadline__lt": _minute(now)}


def of_version(group: Group) -> dict[str, str]:
    """The filter of the sagas in progress of that version."""
    return {**IN_PROGRESS, "definition_version__exact": str(group.version)}


def ended(name: str, since: datetime) -> dict[str, str]:
    """The filter of the sagas that ended in that status since then."""
    return {"status__exact": name, "ended_at__gte": _minute(since)}


def of_worker(owner: str) -> dict[str, str]:
    """The filter of the sagas that the worker has."""
    return {"owner__exact": owner}


def sagas(*filters: dict[str, str], saga_type: str = "") -> str:
    """The address of the list with these filters."""
    parameters = {name: value for each in filters for name, value in each.items()}
    parameters |= {"type": saga_type} if saga_type else {}
    return f"{reverse('admin:sagas_saga_changelist')}?{urlencode(parameters)}"


def saga(saga_id: UUID | str) -> str:
    """The address of the saga's page; empty for what is no id of a saga."""
    try:
        return reverse("admin:sagas_saga_change", args=[UUID(str(saga_id))])
    except ValueError:
        return ""


def _minute(at: datetime) -> str:
    """Whole minutes, so that a page that is shown live does not change with every look."""
    return f"{at:%Y-%m-%d %H:%M}:00+00:00"
