"""How things stand now, as gauges: from the database, the cache's Redis and the broker.

Every number is bounded as on the overview (`sagas.figures`): what counts sagas stops above 10,000.
Labels are of the code alone: types, statuses, participants. Every instance gives the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from prometheus_client.core import GaugeMetricFamily, Metric

from executors.breaker import Phase, held_by
from executors.participants import participants
from executors.registry import registry
from sagas import figures
from sagas.broker import backlog
from sagas.domain.state import SagaStatus
from sagas.engine import presence
from sagas.figures import CAP, Group, Resting
from sagas.models import Proposal, Saga
from sagas.selectors import database_now

_IN_PROGRESS, _FAILED = SagaStatus.IN_PROGRESS.value, SagaStatus.FAILED.value
_OPEN = (SagaStatus.PENDING.value, _IN_PROGRESS, _FAILED)

Numbers = Counter[tuple[str, ...]]


class Unshared(Exception):
    """Redis does not answer, so what this process knows says nothing of the others."""


def of_database() -> list[Metric]:
    """What the tables say. Raises whatever the database does while it is away."""
    now = database_now()
    groups = figures.in_progress(now, timedelta(seconds=2 * settings.SAGA_SWEEP_INTERVAL))
    resting = figures.resting()
    return [
        *_numbers(groups, resting),
        *_waiting(groups),
        *_ages(now),
        *_workers(),
        _gauge(
            "saga_proposals_open",
            "Operations that wait for another person's approval.",
            Proposal.objects.filter(decision="")[: CAP + 1].count(),
        ),
        _gauge("saga_database_read_only", "1 while the database takes no writes.", _read_only()),
    ]


def of_cache() -> list[Metric]:
    """The breakers, as all processes share them. Raises Unshared while Redis is away."""
    is_open = _family(
        "saga_breaker_open",
        "1 while the circuit breaker of a participant is open, or probes.",
        "participant",
    )
    for name in sorted(settings.SAGA_PARTICIPANTS):
        standing = participants().get(name).breaker.look()
        if settings.SAGA_SHARED_STATE and not standing.shared:
            raise Unshared
        is_open.add_metric([name], float(standing.phase is not Phase.CLOSED))
    return [is_open]


def of_broker() -> list[Metric]:
    """The messages. Raises whatever the broker does while it is away."""
    return [_gauge("saga_broker_messages", "Messages that wait for a worker.", backlog())]


def _numbers(groups: Sequence[Group], resting: Sequence[Resting]) -> Iterable[Metric]:
    sagas: Numbers = Counter()
    doubtful: Numbers = Counter()
    for rest in resting:
        sagas[rest.type, rest.status] += rest.number
        doubtful[rest.type, rest.status] += rest.number if rest.in_doubt else 0
    for group in groups:
        sagas[group.type, _IN_PROGRESS] += group.number
        doubtful[group.type, _IN_PROGRESS] += group.number if group.in_doubt else 0
    yield _counted("saga_current", "Sagas that have not ended well.", sagas, _OPEN)
    yield _counted(
        "saga_in_doubt",
        "Of those, sagas of which a call may or may not have taken effect.",
        doubtful,
        (_IN_PROGRESS, _FAILED),
    )


def _counted(name: str, text: str, numbers: Numbers, statuses: Sequence[str]) -> Metric:
    """By type and status; those that there are none of are 0, not absent."""
    family = _family(name, text, "type", "status")
    types = {saga_type for saga_type, _ in numbers} | set(registry.types())
    for saga_type in sorted(types):
        for status in statuses:
            family.add_metric([saga_type, status], numbers[saga_type, status])
    return family


def _waiting(groups: Iterable[Group]) -> Iterable[Metric]:
    waiting: Numbers = Counter()
    due: Numbers = Counter()
    late: Numbers = Counter()
    held = {held_by(name) for name in settings.SAGA_PARTICIPANTS}
    for group in groups:
        waiting[group.type, _awaited(group, held)] += group.number
        due[group.type, ""] += 0 if group.later else group.number
        late[group.type, ""] += group.number if group.past_deadline else 0
    families = (
        _family("saga_waiting", "Sagas in progress that wait, by what for.", "type", "reason"),
        _family("saga_due", "Sagas that are due now and that no worker has taken.", "type"),
        _family("saga_past_deadline", "Sagas in progress that are past their deadline.", "type"),
    )
    for saga_type in sorted({group.type for group in groups} | set(registry.types())):
        for reason in ("breaker", "code", "retry", "other"):
            families[0].add_metric([saga_type, reason], waiting[saga_type, reason])
        families[1].add_metric([saga_type], due[saga_type, ""])
        families[2].add_metric([saga_type], late[saga_type, ""])
    return families


def _awaited(group: Group, held: set[str]) -> str:
    """What the sagas wait for; empty where they do not."""
    if registry.find(group.type, group.version) is None:
        return "code"
    if group.waiting:
        return "breaker" if group.waiting in held else "other"
    return "retry" if group.retrying else ""


def _ages(now: datetime) -> Iterable[Metric]:
    due = Saga.objects.filter(due_at__lte=now).order_by("due_at")
    failed = figures.failures()
    yield _gauge(
        "saga_due_oldest_seconds",
        "For how long the saga that is due for the longest has been due; 0: none is.",
        _age(now, due.values_list("due_at", flat=True)[:1]),
    )
    yield _gauge(
        "saga_failed_oldest_seconds",
        "How long ago the first of the failed sagas failed; 0: there is none.",
        _age(now, (each.since for each in failed)),
    )
    doubtful = _family(
        "saga_in_doubt_oldest_seconds",
        "How long ago the first saga in doubt was started (in progress), or failed; 0: none.",
        "status",
    )
    started = (saga.started_at or saga.created_at for saga in figures.oldest_in_doubt(1))
    doubtful.add_metric([_IN_PROGRESS], _age(now, started))
    doubtful.add_metric([_FAILED], _age(now, (each.since for each in failed if each.in_doubt)))
    yield doubtful


def _age(now: datetime, since: Iterable[datetime | None]) -> float:
    moments = [moment for moment in since if moment is not None]
    return max(0.0, (now - min(moments)).total_seconds()) if moments else 0.0


def _workers() -> Iterable[Metric]:
    """Nothing on a database that does not know."""
    living = presence.living()
    if living is not None:
        yield _gauge("saga_workers", "Worker processes that are alive.", len(living))


def _read_only() -> bool:
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SHOW transaction_read_only")
        (answer,) = cursor.fetchone()
    return bool(answer == "on")


def _family(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=labels)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=float(value))
