"""Addresses of the list of sagas, filtered, and of a saga's page."""

from __future__ import annotations

from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest
from django.urls import reverse

from sagas.domain.state import SagaStatus

IN_PROGRESS = {"status__exact": SagaStatus.IN_PROGRESS.value}


def status(name: str) -> dict[str, str]:
    """The filter of the sagas of that status."""
    return {"status__exact": name}


def question(name: str) -> dict[str, str]:
    """The filter of the sagas of which that is true; one of `filters.QUESTIONS`."""
    return {"is": name}


def failed_at(step: str, direction: str, *, in_doubt: bool) -> dict[str, str]:
    """The filter of the sagas that failed at that step, going that way."""
    return {
        **status(SagaStatus.FAILED.value),
        "current_step__exact": step,
        "direction__exact": direction,
        "in_doubt__exact": str(int(in_doubt)),
    }


def waiting(why: str) -> dict[str, str]:
    """The filter of the sagas that wait for that."""
    return {"is": "held", "waiting__exact": why}


def ended(name: str, window: str) -> dict[str, str]:
    """The filter of the sagas that ended in that status within the time."""
    return {"status__exact": name, "ended": window}


def of_worker(owner: str) -> dict[str, str]:
    """The filter of the sagas that the worker has."""
    return {**IN_PROGRESS, "owner__exact": owner}


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


def among_sagas(request: HttpRequest) -> bool:
    """Whether the menu says "Sagas": on the list, and on a saga's page and its operations'."""
    inside = request.path.removeprefix(reverse("admin:sagas_saga_changelist"))
    return inside != request.path and not inside.startswith(("bulk/", "approvals/", "audit/"))
