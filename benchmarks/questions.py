"""What `benchmarks.history` asks of each database; Django is set up before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Question = tuple[str, Callable[[], object]]


def questions() -> Iterator[Question]:
    """Each question by its name."""
    yield from _engine()
    yield from _api()
    yield from _console()
    yield from _metrics()


def _engine() -> Iterator[Question]:
    from executors.fields import ORDER
    from executors.registry import registry
    from sagas import selectors
    from sagas.seeding.scenarios import completed
    from sagas.seeding.stage import Play, rows_of

    executor = registry.newest("purchase_saga")
    assert executor is not None
    texts = [f"x-{place}" for place in range(len(executor.steps))]
    data = {**ORDER, "payment_method": "credit_card"}

    def drive() -> object:
        return rows_of(Play(executor, data, texts, "benchmark"), completed)

    yield "drive: a purchase, rolled back", drive
    yield "sweep: due sagas", lambda: selectors.due_sagas(200)
    yield "sweep: leases", lambda: selectors.leases(7, 200)


def _api() -> Iterator[Question]:
    from django.utils.http import urlencode

    from sagas.models import Saga

    get = _visitor()
    newest = Saga.objects.order_by("-id")
    number = newest.count()
    deep = newest[number // 2]
    events = deep.events.count()
    asked: dict[str, dict[str, Any]] = {
        "first page": {},
        "offset 5000": {"offset": 5000},
        "offset at the end": {"offset": number - 50},
        "after, in the middle": {"after": str(deep.pk)},
        "oldest first": {"ordering": "created_at"},
        "last changed": {"ordering": "-updated_at"},
        "longest unchanged": {"ordering": "updated_at"},
        "last changed, failed": {"ordering": "-updated_at", "status": "failed"},
        "created before, in the middle": {"created_before": deep.created_at.isoformat()},
        "created after, oldest first": {
            "created_after": deep.created_at.isoformat(),
            "ordering": "created_at",
        },
        "search: an id": {"search": str(deep.pk)},
        "search: a type": {"search": "ret"},
        "search: a step": {"search": "process_pay"},
        "search: a reason": {"search": "the cust"},
        "search: nothing": {"search": "zzz"},
    }
    for status in ("pending", "in_progress", "completed", "failed", "compensated"):
        asked[f"status {status}"] = {"status": status}
    for saga_type in ("purchase_saga", "return_saga", "unknown"):
        asked[f"type {saga_type}"] = {"type": saga_type}
    asked["type and status"] = {"type": "return_saga", "status": "failed"}
    for name, query in asked.items():
        yield f"API: {name}", get(f"/api/v1/sagas?{urlencode(query)}")
    yield f"API: one saga's {events} events", get(f"/api/v1/sagas/{deep.pk}/events")


def _console() -> Iterator[Question]:
    from sagas.admin import parts
    from tests.admin.cost import addresses

    get = _visitor()
    for name, address in addresses():
        asked = get(address)

        def page(asked: Callable[[], object] = asked) -> object:
            parts.forget()  # what the overview keeps for some seconds
            return asked()

        yield f"console: {name}", page


def _metrics() -> Iterator[Question]:
    from sagas.metrics import standing

    yield "metrics: gauges of the database", standing.of_database


def _visitor() -> Callable[[str], Callable[[], object]]:
    """Makes questions of addresses; what is answered with 400 counts as answered."""
    from django.contrib.auth.models import User
    from django.test import Client

    user, _ = User.objects.get_or_create(
        username="benchmark", defaults={"is_staff": True, "is_superuser": True}
    )
    client = Client(headers={"host": "localhost"})
    client.force_login(user)

    def get(address: str) -> Callable[[], object]:
        def ask() -> object:
            answer = client.get(address)
            assert answer.status_code in (200, 400), (address, answer.status_code)
            return answer

        return ask

    return get
