"""The page of one saga: its steps, timeline and data, all escaped."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.html import escape

from sagas import services
from sagas.admin import detail
from sagas.domain.outcome import Outcome, Verdict
from sagas.models import Saga, SagaEvent
from tests.admin import staging
from tests.admin.staging import html

pytestmark = pytest.mark.django_db

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def table(text: str, nth: int) -> list[list[str]]:
    """The words of the nth table's cells, row by row."""
    body = text.split("<tbody>")[nth].split("</tbody>")[0]
    return [
        [
            " ".join(unescape(re.sub(r"<[^>]*>", " ", cell)).split())
            for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", line, re.DOTALL)
        ]
        for line in body.split("</tr>")[:-1]
    ]


def test_the_steps(viewer: Client) -> None:
    rows = table(html(viewer, staging.failed()), 1)
    assert [row[0] for row in rows] == ["1", "2", "3", "4", "5"]
    assert [row[1:4] for row in rows] == [
        ["validate_inventory 1 attempt", "–", "check_circle completed"],
        ["reserve_inventory 1 attempt", "release_inventory 0 attempts", "check_circle completed"],
        ["process_payment 1 attempt", "refund_payment 1 attempt", "error failed"],
        ["create_sale 1 attempt", "cancel_sale 0 attempts", "error failed"],
        ["update_inventory 0 attempts", "–", "hourglass_empty pending"],
    ]
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d", row[4]) for row in rows[:4])
    assert all(re.match(r"\d\d:\d\d:\d\d", row[5]) for row in rows[:4])
    assert rows[4][4:] == ["–", "–", "–"]
    assert [row[6] for row in rows[:4]] == [
        'Output { "id": "x" }',
        'Output { "id": "x" }',
        'no money Output { "id": "x" }',
        "no money",
    ]


def test_a_step_in_doubt_is_marked(viewer: Client) -> None:
    rows = table(html(viewer, staging.in_doubt()), 1)
    assert [row[3] for row in rows[1:4]] == [
        "check_circle completed",
        "autorenew in progress help in doubt",
        "hourglass_empty pending",
    ]


def test_the_timeline(viewer: Client) -> None:
    saga = staging.failed()
    rows = table(html(viewer, saga), 2)
    assert len(rows) == saga.seq
    happened = [" ".join(row[2].split()[1:]) for row in rows]
    assert happened[:5] == [
        "created",
        "execute asked for",
        "a worker took the lease",
        "action started",
        "action succeeded",
    ]
    assert happened[-5:] == [
        "action refused",
        "turns round: compensating",
        "compensation started",
        "compensation refused",
        "failed",
    ]
    assert rows[0][0].startswith(f"{saga.created_at:%Y-%m-%d} ")
    assert not rows[1][0].startswith("20"), "the date is shown where it changes"
    assert [row[5] for row in rows[:3]] == ["shop-api", "shop-api", "worker-7"]
    assert rows[-3][3] == "refund_payment attempt 1"
    assert rows[-5][3] == "create_sale attempt 1"
    assert "no money" in rows[-2][6]
    assert "refund_payment was refused: no money" in rows[-1][6]


def test_times_and_durations_of_the_timeline(viewer: Client) -> None:
    slow = Outcome(verdict=Verdict.SUCCEEDED, output={}, duration=timedelta(milliseconds=1234.4))
    saga = staging.purchase({"validate_inventory": [slow], "reserve_inventory": [staging.LOST]})
    first = saga.created_at
    for event in SagaEvent.objects.filter(saga=saga.pk):
        at = first + timedelta(seconds=event.seq)
        SagaEvent.objects.filter(pk=event.pk).update(at=at)
    rows = table(html(viewer, saga), 2)
    # counted from the execute, the second event
    assert [row[1] for row in rows[:4]] == ["+1.0 s", "+0 ms", "+1.0 s", "+2.0 s"]
    assert rows[4][4] == "1234 ms"
    retry_at = SagaEvent.objects.get(saga=saga.pk, kind="attempt_failed").data["retry_at"]
    assert rows[6][2].endswith("action not answered")
    assert f"in doubt no answer in time next attempt at {retry_at[11:19]}" in rows[6][6]


def test_a_new_run_starts_its_own_clock(viewer: Client) -> None:
    saga = staging.compensated()
    services.retry(saga.pk, actor="user:x", reason="the bank is back")
    events = SagaEvent.objects.filter(saga=saga.pk)
    retry = events.get(kind="retry_requested")
    events.filter(pk=retry.pk).update(at=retry.at + timedelta(days=3))
    row = table(html(viewer, saga), 2)[-1]
    assert row[0].startswith(f"{retry.at + timedelta(days=3):%Y-%m-%d} ")
    assert row[1] == "+0 ms"
    assert row[5] == "user:x"
    assert "the bank is back" in row[6]


def test_a_retry_of_the_same_run_goes_on_with_its_clock(viewer: Client) -> None:
    saga = staging.failed()
    services.retry(saga.pk, actor="user:x", reason="the bank is back")
    events = SagaEvent.objects.filter(saga=saga.pk)
    first, retry = events.get(kind="execute_requested"), events.get(kind="retry_requested")
    events.filter(pk=retry.pk).update(at=first.at + timedelta(minutes=10))
    assert table(html(viewer, saga), 2)[-1][1] == "+10 min"


def test_request_and_answer_are_unfolded_as_json(viewer: Client) -> None:
    refused = Outcome(
        verdict=Verdict.REFUSED,
        error="no",
        answer={"status": 402, "body": "[" * 2000},  # broken, and deep
    )
    sent = {"method": "POST", "path": "/payments", "body": '{"amount":"59.98"}'}
    saga = staging.purchase({"process_payment": [refused]}, requests={"process_payment": sent})
    text = unescape(html(viewer, saga))
    assert '"path": "/payments"' in text
    assert '"body": {\n    "amount": "59.98"\n  }' in text
    assert '"body": "[[[[' in text
    assert "<summary>Request</summary>" in text
    assert "<summary>Answer</summary>" in text


def test_the_data_is_shown_as_indented_json(viewer: Client) -> None:
    text = unescape(html(viewer, staging.pending()))
    assert '{\n  "store_id": 1,' in text or '  "store_id": 1,\n' in text


def test_everything_from_outside_is_escaped(root: Client) -> None:
    evil = Outcome(
        verdict=Verdict.REFUSED,
        error=f"error {EVIL}",
        answer={"status": 402, "body": f"answer {EVIL}"},
    )
    fine = Outcome(verdict=Verdict.SUCCEEDED, output={"id": f"output {EVIL}", EVIL: 1})
    saga = staging.purchase(
        {"validate_inventory": [fine], "create_sale": [evil], "refund_payment": [evil]},
        requests={"create_sale": {"path": f"path {EVIL}", "body": f"request {EVIL}"}},
        payment_method=f"data {EVIL}"[:50],
    )
    reason = f"reason {EVIL}"
    services.retry(saga.pk, actor="user:x", reason=reason)
    saga = staging.drive(saga, {"refund_payment": [evil]})
    Saga.objects.filter(pk=saga.pk).update(owner="", idempotency_key=f"key {EVIL}")
    for text in (html(root, saga), html(root, saga, "compensate"), html(root, saga, "retry")):
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert escape(f"error {EVIL}") in text
    text = html(root, saga)
    assert escape(reason) in text
    assert escape(f"key {EVIL}") in text
    for word in ("path", "request", "answer", "output", "data"):
        assert f"{word} &lt;script&gt;alert(1)" in text, word
    in_list = root.get("/admin/sagas/saga/").content.decode()
    assert escape(f"error {EVIL}") in in_list
    assert "<script>alert" not in in_list


def test_the_cost_does_not_grow_with_steps_and_events(viewer: Client) -> None:
    saga, short = staging.failed(), staging.pending()

    def queries(saga: Saga) -> int:
        with CaptureQueriesContext(connection) as captured:
            html(viewer, saga)
        return len(captured)

    # session, user, two for permissions, the saga, its steps, its events
    assert queries(saga) == queries(short) <= 7


def test_the_earliest_of_very_many_events_are_left_out(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detail, "MAX_EVENTS", 5)
    saga = staging.completed()
    text = html(viewer, saga)
    rows = table(text, 2)
    assert len(rows) == 5
    assert rows[-1][2].endswith("completed")
    assert f"{saga.seq - 5} earlier events are left out" in text
    assert f'href="/api/v1/sagas/{saga.pk}/events"' in text


def test_an_unknown_saga_leads_back_to_the_list(viewer: Client) -> None:
    for saga_id in ("01890000-0000-7000-8000-000000000000", "no-id-at-all"):
        response = viewer.get(f"/admin/sagas/saga/{saga_id}/change/", follow=True)
        assert response.redirect_chain[0][0] == "/admin/sagas/saga/"
        assert f"There is no saga {saga_id}." in response.content.decode()
