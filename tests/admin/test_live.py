"""The part of a saga's page that keeps itself up to date."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from sagas import services
from sagas.admin import detail
from sagas.models import Saga
from tests.admin import staging
from tests.admin.conftest import Login
from tests.admin.staging import html, page_of

pytestmark = pytest.mark.django_db


def ask(client: Client, saga: Saga, etag: str = "", query: str = "") -> HttpResponse:
    headers = {"X-Live": "1"} | ({"If-None-Match": etag} if etag else {})
    return client.get(page_of(saga) + query, headers=headers)  # type: ignore[return-value]


def test_only_the_part_that_changes_is_sent(viewer: Client) -> None:
    saga = staging.in_doubt()
    response = ask(viewer, saga)
    text = response.content.decode()
    assert response.status_code == 200
    assert text.strip().startswith('<div class="saga-stack">')
    assert "saga-standing" in text
    assert "<html" not in text
    assert "data-live=" not in text
    assert "no-store" in response.headers["Cache-Control"], "or going back would show a fragment"


def test_nothing_is_sent_while_nothing_changed(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    saga = staging.in_doubt()
    moment = datetime(2026, 1, 1, 12, 0, 1, tzinfo=UTC)
    monkeypatch.setattr("sagas.admin.saga.timezone.now", lambda: moment)
    etag = ask(viewer, saga).headers["ETag"]
    with CaptureQueriesContext(connection) as captured:
        response = ask(viewer, saga, etag)
    # session, user, two for permissions, and one that tells what the saga's tag is
    assert len(captured) <= 5
    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["ETag"] == etag
    services.compensate(saga.pk, actor="user:x", reason="wrong price")
    assert ask(viewer, saga, etag).status_code == 200
    assert ask(viewer, saga, ask(viewer, saga).headers["ETag"]).status_code == 304


def test_what_is_read_out_tells_the_state_without_the_clock(viewer: Client) -> None:
    saga = staging.in_doubt()
    assert 'data-live-say="in progress, forward, in doubt: process_payment"' in html(viewer, saga)
    services.compensate(saga.pk, actor="user:x", reason="wrong price")
    text = html(viewer, saga)
    assert 'data-live-say="in progress, compensating, in doubt: process_payment"' in text


def test_what_time_changes_is_sent_too(viewer: Client) -> None:
    saga = staging.in_doubt()
    due = Saga.objects.values_list("due_at", flat=True).get(pk=saga.pk)
    assert due

    def tags(start: datetime, seconds: int) -> int:
        found = [detail.tag(str(saga.pk), start + timedelta(seconds=s)) for s in range(seconds)]
        return len({each.etag for each in found if each})

    far = due.replace(second=0, microsecond=0) - timedelta(minutes=30)
    assert tags(far, 60) == 6, "an hour's wait is told to the minute"
    assert tags(due - timedelta(seconds=60), 20) >= 10, "one of seconds, to the second"
    just = [detail.tag(str(saga.pk), due + timedelta(microseconds=us)) for us in (-1, 1)]
    passed = {each.etag for each in just if each}
    assert len(passed) == 2, "that it is due now changes the sentence at once"


def test_the_cost_of_a_change(viewer: Client) -> None:
    saga = staging.failed()
    with CaptureQueriesContext(connection) as captured:
        assert ask(viewer, saga).status_code == 200
    assert len(captured) <= 10


def test_it_ends_with_the_saga(viewer: Client) -> None:
    running, ended = staging.in_doubt(), staging.completed()
    assert "X-Live-Stop" not in ask(viewer, running).headers
    response = ask(viewer, ended)
    assert response.headers["X-Live-Stop"] == "1"
    again = ask(viewer, ended, response.headers["ETag"])
    assert again.headers["X-Live-Stop"] == "1"
    assert "data-live=" not in html(viewer, ended)
    assert "data-live=" not in html(viewer, staging.failed())
    assert "data-live=" in html(viewer, staging.pending())


def test_it_stays_at_its_place(viewer: Client) -> None:
    saga = staging.in_doubt()
    text = viewer.get(f"{page_of(saga)}?before=5&all=1&run=1&evil=%22").content.decode()
    assert f'data-live="{page_of(saga)}?run=1&amp;before=5&amp;all=1"' in text
    rows = ask(viewer, saga, query="?before=5&all=1").content.decode()
    assert 'id="event-4"' in rows
    assert 'id="event-5"' not in rows


def test_who_may_not_see_the_saga_gets_nothing_of_it(login: Login) -> None:
    saga = staging.in_doubt()
    assert ask(login("nobody"), saga).status_code == 403
    assert ask(Client(), saga).status_code == 302


def test_a_saga_that_is_not_there(viewer: Client) -> None:
    for saga_id in ("01890000-0000-7000-8000-000000000000", "no-id-at-all"):
        address = f"/admin/sagas/saga/{saga_id}/change/"
        assert viewer.get(address, headers={"X-Live": "1"}).status_code == 404
