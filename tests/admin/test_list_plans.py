"""How the list's queries are answered among many sagas: by indexes, reading little.

PostgreSQL's own plans, with its settings as they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.plugin import DjangoDbBlocker

from executors.fields import ORDER
from executors.registry import registry
from sagas import selectors
from sagas.admin.filters import QUESTIONS
from sagas.admin.paging import MOST_COUNTED
from sagas.domain.state import SagaStatus
from sagas.engine.purge import Old, delete_batch
from sagas.models import Saga
from sagas.seeding import make_history
from sagas.seeding.scenarios import completed
from sagas.seeding.stage import Play, rows_of

pytestmark = [
    pytest.mark.skipif(connection.vendor != "postgresql", reason="plans of PostgreSQL"),
    pytest.mark.xdist_group("plans"),
]

LIST = "/admin/sagas/saga/"
MANY = 10_000
MOST_READ = 1_500
"""Rows that one query may look at: a few pages, or all that are in progress."""


@pytest.fixture(scope="module")
def many(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """A history that stays for the tests of this module: VACUUM takes no part in transactions."""
    with django_db_blocker.unblock():
        make_history(MANY, seed=1)
        yield
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE sagas_saga, sagas_sagastep, sagas_sagaevent CASCADE")


@pytest.fixture
def client(many: None, db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def deep() -> Saga:
    return Saga.objects.order_by("id")[MANY // 10]


def queries() -> dict[str, dict[str, str]]:
    return {
        "first": {},
        "deep": {"after": str(deep().pk)},
        "newer": {"before": str(deep().pk)},
        "oldest": {"o": "6"},
        **{
            name: {"status__exact": name}
            for name in ("pending", "in_progress", "completed", "compensated", "failed")
        },
        "type": {"type": "return_saga"},
        **{f"is {name}": {"is": name} for name in QUESTIONS},
        "by due": {"status__exact": "in_progress", "o": "5"},
        "ended": {"ended": "7d"},
        "ended 1h": {"ended": "1h"},
        "failed lately": {"ended": "7d", "is": "failed"},
        "created day": {"created": f"{deep().created_at:%Y-%m-%d}"},
        "created month": {"created": f"{deep().created_at:%Y-%m}"},
        "q id": {"q": str(deep().pk)},
        "q start": {"q": str(deep().pk)[:18]},
        "q end": {"q": deep().pk.hex[-12:]},
        "q type": {"q": "return"},
        "q step": {"q": "process_"},
        "q sale": {"q": "sale-777"},
        "q customer": {"q": "customer_id=1777"},
        "q nothing": {"q": "nothing is called so"},
    }


def plan(
    sql: str, explain: str = "EXPLAIN (ANALYZE, FORMAT JSON)", params: Any = None
) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(f"{explain} {sql}", params)
        (found,) = cursor.fetchone()
    document: list[dict[str, Any]] = json.loads(found) if isinstance(found, str) else found
    top: dict[str, Any] = document[0]["Plan"]
    return top


def nodes(top: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield top
    for below in top.get("Plans", ()):
        yield from nodes(below)


def read(node: dict[str, Any]) -> float:
    """Rows that a scan looked at."""
    each = sum(
        node.get(name, 0)
        for name in ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
    )
    return float(each * node["Actual Loops"])


def test_every_query_is_served_by_an_index_and_reads_little(client: Client) -> None:
    for name, query in queries().items():
        with CaptureQueriesContext(connection) as captured:
            assert client.get(LIST, query).status_code == 200
        asked = [q["sql"] for q in captured if "sagas_saga" in q["sql"]]
        counted = [sql for sql in asked if "COUNT(" in sql]
        assert all(f"LIMIT {MOST_COUNTED + 1}) subquery" in sql for sql in counted), name
        for sql in {*asked} - {*counted}:
            for node in nodes(plan(sql)):
                if "Scan" in node["Node Type"]:
                    assert node["Node Type"] != "Seq Scan", (name, sql)
                    assert read(node) <= MOST_READ, (name, sql)


def test_the_api_list_too(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every filter and ordering; what cannot be bounded is refused."""
    monkeypatch.setattr("sagas.api.listing.MOST", 500)
    middle = deep().created_at.isoformat()
    for query, status in (
        ({}, 200),
        ({"offset": "500"}, 200),
        ({"after": str(deep().pk)}, 200),
        ({"ordering": "created_at", "after": str(deep().pk)}, 200),
        *(({"status": value.value}, 200) for value in SagaStatus),
        ({"type": "return_saga"}, 200),
        ({"type": "nobody_saga"}, 200),
        ({"type": "purchase_saga", "status": "completed"}, 200),
        ({"created_after": middle}, 200),
        ({"created_before": middle}, 200),
        ({"created_before": middle, "created_after": middle, "ordering": "created_at"}, 200),
        ({"ordering": "updated_at"}, 400),
        ({"ordering": "-updated_at", "status": "failed"}, 200),
        ({"search": str(deep().pk)}, 200),
        ({"search": "RETURN"}, 200),
        ({"search": "process_"}, 200),
        ({"search": "the "}, 200),
        ({"search": "no reason begins so"}, 200),
    ):
        with CaptureQueriesContext(connection) as captured:
            assert client.get("/api/v1/sagas", query).status_code == status, query
        asked = [q["sql"] for q in captured if "sagas_saga" in q["sql"]]
        assert asked
        for sql in asked:
            for node in nodes(plan(sql)):
                if "Scan" in node["Node Type"]:
                    assert node["Node Type"] != "Seq Scan", (query, sql)
                    assert read(node) <= MOST_READ, (query, sql)


def test_a_drive_and_the_sweepers_read_by_indexes(many: None, db: None) -> None:
    executor = registry.newest("purchase_saga")
    assert executor is not None
    data = {**ORDER, "payment_method": "credit_card"}
    play = Play(executor, data, ["x"] * len(executor.steps), "plans")
    seen: list[tuple[str, Any]] = []

    def note(execute: Callable[..., Any], sql: str, params: Any, *rest: Any) -> Any:
        seen.append((sql, params))
        return execute(sql, params, *rest)

    with connection.execute_wrapper(note):
        rows_of(play, completed)
        selectors.due_sagas(200)
        selectors.leases(7, 200)
    asked = [
        (sql, params) for sql, params in seen if sql.split()[0] in ("SELECT", "UPDATE", "WITH")
    ]
    assert len(asked) > 10
    used = set()
    for sql, params in asked:
        for node in nodes(plan(sql, "EXPLAIN (FORMAT JSON)", params)):
            assert node["Node Type"] != "Seq Scan", sql
            used.add(node.get("Index Name"))
    assert used >= {"sagas_saga_pkey", "step_position", "saga_due"}


def test_a_page_is_as_cheap_at_the_end_as_at_the_beginning(client: Client) -> None:
    for query in ({}, {"after": str(deep().pk)}, {"status__exact": "completed"}):
        with CaptureQueriesContext(connection) as captured:
            client.get(LIST, query)
        (page,) = (q["sql"] for q in captured if "LIMIT 51" in q["sql"])
        assert max(read(node) for node in nodes(plan(page))) <= 100


def test_what_people_did_is_found_among_all_events(client: Client) -> None:
    for query in ({}, {"who": "nobody"}, {"before": f"{deep().created_at.isoformat()}"}):
        with CaptureQueriesContext(connection) as captured:
            assert client.get(f"{LIST}audit/", query).status_code == 200
        asked = [q["sql"] for q in captured if 'FROM "sagas_sagaevent"' in q["sql"]]
        assert asked
        for sql in asked:
            for node in nodes(plan(sql)):
                if "Scan" in node["Node Type"]:
                    assert node.get("Index Name") == "event_by_people", sql
                    assert read(node) <= MOST_READ, (query, sql)


def test_a_purge_finds_what_is_old_and_all_that_belongs_to_it(many: None, db: None) -> None:
    """However much is there, a batch reads little more than it deletes."""
    old = Old(statuses=[SagaStatus.COMPLETED], before=deep().ended_at or deep().created_at)
    place = None
    for _ in range(2):
        with CaptureQueriesContext(connection) as captured:
            batch = delete_batch(old, after=place, size=100, keep=list)
        assert batch.sagas == 100
        place = batch.last
        chosen = [q["sql"] for q in captured if "FOR UPDATE SKIP LOCKED" in q["sql"]]
        deletes = [q["sql"] for q in captured if q["sql"].startswith("DELETE")]
        assert (len(chosen), len(deletes)) == (1, 4)
        for sql in chosen + deletes:
            for node in nodes(plan(sql)):
                if node.get("Relation Name") in ("sagas_saga", "sagas_sagastep", "sagas_sagaevent"):
                    assert node["Node Type"] not in ("Seq Scan", "Sort"), sql
                    if "Scan" in node["Node Type"]:
                        assert read(node) <= MOST_READ, sql
        indexes = {node.get("Index Name") for node in nodes(plan(chosen[0]))}
        assert "saga_ended" in indexes
