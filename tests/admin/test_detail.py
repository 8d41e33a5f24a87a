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
from sagas.admin import history as told
from sagas.domain.outcome import Outcome, Verdict
from sagas.models import Saga, SagaEvent
from tests.admin import staging
from tests.admin.staging import html, page_of

pytestmark = pytest.mark.django_db

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def words(markup: str) -> str:
    """The markup's text, without the names of icons."""
    without = re.sub(r'<span class="material-symbols-outlined"[^>]*>\w+</span>', " ", markup)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", without)).split())


def section(text: str, name: str) -> str:
    """The part of the page of that id, to the next section."""
    return text.split(f'id="{name}"', 1)[1].split('<section class="saga-card"', 1)[0]


def history(text: str) -> list[list[str]]:
    """The words of the history's cells, row by row, without the events' numbers."""
    body = section(text, "history").split("<tbody>")[1].split("</tbody>")[0]
    return [
        [words(cell) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", line, re.DOTALL)][1:]
        for line in body.split("</tr>")[:-1]
    ]


def whole(client: Client, saga: Saga, query: str = "all=1") -> str:
    response = client.get(f"{page_of(saga)}?{query}")
    assert response.status_code == 200
    return response.content.decode()


def cards(text: str) -> list[str]:
    return [words(card) for card in re.findall(r'<li class="saga-step.*?</li>', text, re.DOTALL)]


def test_the_trace_is_on_the_page(viewer: Client) -> None:
    """By its id it is found where spans are kept: the client's, or else the saga's own."""
    saga = staging.failed()
    assert f"Trace {saga.trace_id}" in words(html(viewer, saga))
    theirs = "0af7651916cd43dd8448eb211c80319c"
    Saga.objects.filter(pk=saga.pk).update(trace=f"00-{theirs}-b7ad6b7169203331-01 a=1")
    assert theirs != saga.trace_id
    assert f"Trace {theirs}" in words(html(viewer, saga))


def test_the_diagram_of_a_failed_saga(viewer: Client) -> None:
    assert cards(html(viewer, staging.failed())) == [
        "1. inventory → validate_inventory succeeded 1 attempt no compensation",
        "2. inventory → reserve_inventory succeeded 1 attempt ← release_inventory to come",
        "3. payment here → process_payment succeeded 1 attempt"
        " ← refund_payment failed 1 attempt no money",
        "4. sales → create_sale failed 1 attempt ← cancel_sale not needed no money",
        "5. inventory → update_inventory not called no compensation",
    ]


def test_the_diagram_tells_what_waits_and_what_is_in_doubt(viewer: Client) -> None:
    doubtful = cards(html(viewer, staging.in_doubt()))
    assert doubtful[2] == (
        "3. payment here → process_payment in doubt 1 attempt ← refund_payment not called"
        " no answer in time"
    )
    assert "→ reserve_inventory waits" in cards(html(viewer, staging.held()))[1]
    assert "being called" in cards(html(viewer, staging.driven_now()))[2]
    assert "← refund_payment waits 1 attempt" in cards(html(viewer, staging.compensating()))[2]
    compensated = cards(html(viewer, staging.compensated()))
    assert "← release_inventory succeeded 1 attempt" in compensated[1]
    assert "← refund_payment not needed" in compensated[2]
    assert "→ validate_inventory next" in cards(html(viewer, staging.due()))[0]
    assert all("here" not in card for card in compensated)


def test_the_diagram_leads_to_the_attempts(viewer: Client) -> None:
    text = html(viewer, staging.failed())
    leads = re.findall(r'href="#(call-[^"]*)"', section(text, "documents") + text)
    assert {"call-1-action", "call-4-action", "call-3-compensation"} <= set(leads)
    assert "call-2-compensation" not in leads, "it was never made"
    for target in leads:
        assert text.count(f' id="{target}"') == 1


def test_a_version_that_no_code_knows_is_shown(viewer: Client) -> None:
    text = html(viewer, staging.parked())
    assert cards(text)[0] == "1. here → validate_inventory waits no compensation"


def test_the_history(viewer: Client) -> None:
    saga = staging.failed()
    rows = history(whole(viewer, saga))
    assert len(rows) == saga.seq
    happened = [row[2] for row in rows]
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


def test_times_and_durations_of_the_history(viewer: Client) -> None:
    slow = Outcome(verdict=Verdict.SUCCEEDED, output={}, duration=timedelta(milliseconds=1234.4))
    saga = staging.purchase({"validate_inventory": [slow], "reserve_inventory": [staging.LOST]})
    first = saga.created_at
    for event in SagaEvent.objects.filter(saga=saga.pk):
        at = first + timedelta(seconds=event.seq)
        SagaEvent.objects.filter(pk=event.pk).update(at=at)
    rows = history(whole(viewer, saga))
    # counted from the execute, the second event
    assert [row[1] for row in rows[:4]] == ["−1.0 s", "+0 ms", "+1.0 s", "+2.0 s"]
    assert rows[4][4] == "1234 ms"
    assert rows[6][2].endswith("action not answered")
    assert "in doubt no answer in time next attempt at" in rows[6][6]


def test_a_new_run_starts_its_own_clock(viewer: Client) -> None:
    saga = staging.compensated()
    services.retry(saga.pk, actor="user:x", reason="the bank is back")
    events = SagaEvent.objects.filter(saga=saga.pk)
    retry = events.get(kind="retry_requested")
    events.filter(pk=retry.pk).update(at=retry.at + timedelta(days=3))
    row = history(whole(viewer, saga))[-1]
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
    assert history(whole(viewer, saga))[-1][1] == "+10 min"


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
    assert "<summary>HTTP 402</summary>" in text


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

    # session, user, two for permissions, the saga, its steps, its runs' starts, the run's
    # events, a page of the history
    assert queries(saga) == queries(short) <= 9


def test_the_leases_are_left_out_unless_asked_for(viewer: Client) -> None:
    saga = staging.completed()
    leases = "a worker took the lease"
    text = html(viewer, saga)
    assert leases not in text
    address = re.search(r'href="([^"]*all=1#history)"', text)
    assert address
    assert leases in viewer.get(unescape(address[1])).content.decode()


def test_what_people_asked_for_stands_out(viewer: Client) -> None:
    saga = staging.failed()
    services.retry(saga.pk, actor="user:maria", reason="the bank is back")
    rows = [("step_skipped", "user:otto"), ("saga_compensated", "user:otto"), ("odd", "worker-7")]
    for number, (kind, actor) in enumerate(rows, 100):
        event = SagaEvent(saga_id=saga.pk, seq=number, kind=kind, actor=actor, epoch=1, data={})
        event.at = saga.updated_at
        SagaEvent.objects.bulk_create([event])
    Saga.objects.filter(pk=saga.pk).update(seq=102)
    text = html(viewer, saga)
    marked = re.findall(r'<tr id="event-\d+" class="saga-command">.*?</tr>', text, re.DOTALL)
    told = [words(row) for row in marked]
    assert len(told) == 3
    assert "execute asked for shop-api" in told[0]
    assert "retry asked for user:maria the bank is back" in told[1]
    assert "step skipped by hand user:otto" in told[2]


def test_a_long_history_is_shown_a_page_at_a_time(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told, "PAGE", 5)
    saga = staging.completed()
    seen: list[int] = []
    address: str | None = f"{page_of(saga)}?all=1"
    while address:
        text = viewer.get(address).content.decode()
        rows = [int(number) for number in re.findall(r'<tr id="event-(\d+)"', text)]
        assert len(rows) <= 5
        seen = rows + seen
        earlier = re.search(r'href="([^"]*)">← Earlier events', text)
        address = unescape(earlier[1]) if earlier else None
        assert ("Latest events" in text) == (rows[-1] != saga.seq)
    assert seen == list(range(1, saga.seq + 1))


def test_a_long_run_is_drawn_from_its_latest_events(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detail, "MAX_EVENTS", 4)
    saga = staging.completed()
    text = html(viewer, saga)
    assert f"{saga.seq - 5} earlier events of this run are not drawn" in text
    assert [words(each) for each in re.findall(r"<h3>(.*?)</h3>", text, re.DOTALL)] == [
        "→ create_sale action, sales",
        "→ update_inventory action, inventory",
    ]


def test_ten_thousand_events(viewer: Client) -> None:
    saga = staging.in_doubt()
    last = SagaEvent.objects.get(saga=saga.pk, seq=saga.seq)
    started = SagaEvent.objects.get(saga=saga.pk, seq=saga.seq - 1)
    made = []
    for seq in range(saga.seq + 1, 10_001):
        like = last if (seq - saga.seq) % 2 == 0 else started
        event = SagaEvent(saga_id=saga.pk, seq=seq, epoch=1, actor="w", at=like.at)
        event.kind, event.step, event.data = like.kind, like.step, like.data
        made.append(event)
    SagaEvent.objects.bulk_create(made, batch_size=2000)
    Saga.objects.filter(pk=saga.pk).update(seq=10_000)
    with CaptureQueriesContext(connection) as captured:
        text = html(viewer, saga)
    assert len(captured) <= 9
    assert "9499 earlier events of this run are not drawn" in text
    assert len(text) < 1_500_000


def test_each_run_is_shown_by_itself(viewer: Client) -> None:
    saga = staging.compensated()
    services.retry(saga.pk, actor="user:x", reason="again")
    saga = staging.drive(saga)
    text = html(viewer, saga)
    assert "← refund_payment" not in words(section(text, "attempts"))
    assert "→ update_inventory" in words(section(text, "attempts"))
    first = re.search(r'href="([^"]*)">Run 1', text)
    assert first
    assert unescape(first[1]).endswith("?run=1#run")
    text = viewer.get(first[1]).content.decode()
    assert "← release_inventory" in words(section(text, "attempts"))
    assert "→ update_inventory" not in words(section(text, "attempts"))
    assert f"{saga.pk}:1:process_payment:action" in text
    assert f"{saga.pk}:2:process_payment:action" not in text
    assert re.search(r'aria-current="true">Run 1', text)


@pytest.mark.parametrize(
    "query",
    [
        *("run=0", "run=-1", "run=99", "run=x", "run=" + "9" * 5000, "run=٣"),
        *("before=0", "before=-5", "before=" + "9" * 30, "before=999999999"),
        *("before=1", "all=2", "run=1&run=2", "%ff=%ff", "before=1e3"),
    ],
)
def test_addresses_that_make_no_sense_show_the_page(viewer: Client, query: str) -> None:
    assert "Going forward" in whole(viewer, staging.in_doubt(), query)


def test_a_nul_byte_in_an_address_is_refused(viewer: Client) -> None:
    saga = staging.pending()
    for query in ("run=%00", "before=%00", "all=%00"):
        assert viewer.get(f"{page_of(saga)}?{query}").status_code == 400


def test_every_state_is_shown(viewer: Client) -> None:
    makes = [
        *(staging.pending, staging.due, staging.completed, staging.compensated, staging.failed),
        *(staging.in_doubt, staging.compensating, staging.held, staging.driven_now, staging.parked),
    ]
    for make in makes:
        text = html(viewer, make())
        svg = re.search(r"<svg class=\"saga-chart\".*?</svg>", text, re.DOTALL)
        assert (svg is None) == (make is staging.pending)
        if svg:
            assert not re.findall(r"\b(?:x|y|x1|x2|y1|y2|width|height)=\"[^\"\d-]", svg[0])
        assert ' style="' not in text.split("<main", 1)[-1].split('class="saga-stack"')[-1]


def test_the_chart_tells_of_each_attempt_in_words(viewer: Client) -> None:
    text = html(viewer, staging.compensating())
    labels = [
        unescape(each) for each in re.findall(r'href="#attempt-\d+" aria-label="([^"]*)"', text)
    ]
    assert [re.sub(r", [\d.]+ ms, from [\d:]+ UTC", "", each) for each in labels] == [
        "validate_inventory, attempt 1: succeeded",
        "reserve_inventory, attempt 1: succeeded",
        "process_payment, attempt 1: succeeded",
        "create_sale, attempt 1: refused: no money",
        "refund_payment, attempt 1: in doubt: no answer in time",
    ]
    for target in re.findall(r'href="#(attempt-\d+)"', text):
        assert f'<tr id="{target}"' in text
    assert "saga-wait-backoff saga-running" in text


def test_an_unknown_saga_leads_back_to_the_list(viewer: Client) -> None:
    for saga_id in ("01890000-0000-7000-8000-000000000000", "no-id-at-all"):
        response = viewer.get(f"/admin/sagas/saga/{saga_id}/change/", follow=True)
        assert response.redirect_chain[0][0] == "/admin/sagas/saga/"
        assert f"There is no saga {saga_id}." in response.content.decode()
