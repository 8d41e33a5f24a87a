"""What the overview asks the database stays small however many sagas there are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from sagas import tally
from sagas.admin import parts
from sagas.models import Tally
from tests.api.client import on_servers

pytestmark = [pytest.mark.django_db, on_servers]

SAGAS = 10_000

_FILL = """
INSERT INTO sagas_saga (id, type, definition_version, status, direction, data, reason, waiting,
    current_step, in_doubt, run, seq, epoch, owner, due_at, cancel_requested, crashes,
    request_digest, created_at, started_at, ended_at, updated_at)
SELECT
    (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
        || '7000' || '8' || substr(md5(i::text), 1, 15))::uuid,
    CASE WHEN i %% 5 = 0 THEN 'return_saga' ELSE 'purchase_saga' END, 1, status, 'forward', '{}',
    '', '', '', i %% 997 = 0, 1, 1, 1, '',
    CASE WHEN status = 'in_progress' THEN now() + (i %% 60) * interval '1 second' END, false, 0,
    '', at, at, CASE WHEN status IN ('completed', 'compensated', 'failed')
        THEN at + interval '1 second' END, at
FROM (
    SELECT i, now() - (%(number)s - i) * interval '30 days' / %(number)s AS at,
        CASE WHEN i %% 100 = 1 THEN 'pending' WHEN i %% 400 = 2 THEN 'failed'
            WHEN i %% 200 = 3 THEN 'in_progress' WHEN i %% 20 = 4 THEN 'compensated'
            ELSE 'completed' END AS status
    FROM generate_series(1, %(number)s) AS i
) AS drawn
"""


@pytest.fixture
def many(db: None) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(_FILL, {"number": SAGAS})
        cursor.execute("ANALYZE sagas_saga")
    tally.catch_up()
    parts.forget()
    yield
    parts.forget()


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


@pytest.mark.parametrize("window", ["1h", "24h", "7d"])
def test_no_query_reads_all_sagas(viewer: Client, many: None, window: str) -> None:
    with CaptureQueriesContext(connection) as made:
        assert viewer.get(f"/admin/?window={window}").status_code == 200
    texts = [q["sql"] or "" for q in made]  # Django has none of what was prepared
    asked = [sql for sql in texts if "sagas_saga" in sql and "sagas_sagastep" not in sql]
    assert len(asked) >= 7
    assert len(made) < 25
    for sql in asked:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql.replace('%', '%%')}", ())
            (answer,) = cursor.fetchone()
        plan = json.loads(answer) if isinstance(answer, str) else answer
        for node in nodes(plan[0]["Plan"]):
            if node.get("Relation Name") != "sagas_saga":
                continue
            assert node["Node Type"] != "Seq Scan", sql
            read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            assert read * node["Actual Loops"] <= SAGAS / 20, sql


def test_the_tallies_hold_what_the_sagas_say(many: None) -> None:
    ended = tally.ended(36 * tally.STRETCH, 56)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT type, status, count(*) FROM sagas_saga WHERE ended_at >= to_timestamp(%s)"
            " GROUP BY 1, 2",
            [ended.start],
        )
        real = {(saga_type, status): number for saga_type, status, number in cursor.fetchall()}
    told: dict[tuple[str, str], int] = {}
    for (_, saga_type, status), number in ended.counts.items():
        told[saga_type, status] = told.get((saga_type, status), 0) + number
    assert told == real
    assert sum(told.values()) > SAGAS / 5
    assert not ended.behind
    assert Tally.objects.count() > 1000
