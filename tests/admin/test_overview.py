"""The console's first page: the figures of all sagas, and what needs a person."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings
from django.db import DatabaseError
from django.test import Client, override_settings
from django.utils import timezone

from executors.breaker import held_by
from executors.participants import participants
from sagas import figures, tally
from sagas.admin import overview, parts
from sagas.domain.outcome import Outcome, Verdict
from sagas.engine.presence import Presence
from sagas.models import Saga
from tests.admin import staging
from tests.api.client import on_servers
from tests.executors.test_breaker import needs_redis

pytestmark = pytest.mark.django_db

LIVE = {"X-Live": "1"}
HELD = Outcome(
    verdict=Verdict.NOT_SENT, error=held_by("payment"), retry_after=timedelta(seconds=20)
)


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    parts.forget()
    yield
    parts.forget()


def html(client: Client, path: str = "/admin/") -> str:
    parts.forget()
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


def section(page: str, name: str) -> str:
    """The HTML of the part with that id."""
    start = page.index(f'aria-labelledby="overview-{name}"')
    return page[start : page.index("</section>", start)]


def numbers(page: str, name: str) -> dict[str, list[str]]:
    """The rows of a table of numbers: of all types, and of each."""
    found = {}
    for row in re.findall(r"<tr>(.*?)</tr>", section(page, name), re.DOTALL):
        if head := re.search(r"</span>([^<]+)</span>\s*</th>", row):
            cells = re.findall(r"<td>(.*?)</td>", row, re.DOTALL)
            found[head[1]] = [re.sub(r"<[^>]+>", "", cell) for cell in cells]
    return found


def text(markup: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", markup)).split())


# --- Counts ------------------------------------------------------------------------------------


def test_each_status_is_counted_by_type(viewer: Client) -> None:
    for make in (staging.pending, staging.completed, staging.compensated, staging.failed,
                 staging.failed, staging.in_doubt, staging.compensating, staging.held,
                 staging.driven_now):  # fmt: skip
        make()
    page = html(viewer)
    assert numbers(page, "active") == {
        "pending": ["1", "1", "0"],
        "in progress": ["4", "4", "0"],
        "waits to retry": ["2", "2", "0"],
        "compensating": ["1", "1", "0"],
        "in doubt": ["1", "1", "0"],
        "failed": ["2", "2", "0"],
    }
    assert numbers(page, "ended") == {
        "completed": ["1", "1", "0"],
        "compensated": ["1", "1", "0"],
        "failed": ["2", "2", "0"],
    }


def test_every_number_leads_to_just_these_sagas(viewer: Client) -> None:
    """The list behind a number has as many sagas as the number says."""
    for make in (staging.pending, staging.completed, staging.completed, staging.compensated,
                 staging.failed, staging.in_doubt, staging.compensating, staging.held,
                 staging.driven_now, staging.parked):  # fmt: skip
        make()
    # The links name whole minutes.
    Saga.objects.filter(due_at__gt=timezone.now()).update(
        due_at=timezone.now() + timedelta(minutes=5)
    )
    page = html(viewer)
    links = re.findall(r'<td><a href="([^"]+)">(\d+)</a></td>', page)
    assert len(links) >= 16
    for url, number in links:
        response = viewer.get(unescape(url))
        assert response.status_code == 200, url
        assert response.context["cl"].result_count == int(number), url


def test_counting_stops_at_the_cap(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "CAP", 2)
    monkeypatch.setattr("sagas.admin.counts.CAP", 2)
    for _ in range(3):
        staging.pending()
        staging.in_doubt()
    staging.failed()
    rows = numbers(html(viewer), "active")
    assert rows["pending"] == ["2+", "2+", "0"]
    assert rows["in progress"][0] == "2+"
    assert rows["in doubt"][0] == "2+"
    assert rows["failed"][0] == "1"


def test_a_type_that_the_code_does_not_know_is_counted_too(viewer: Client) -> None:
    Saga.objects.filter(pk=staging.failed().pk).update(type="bygone")
    page = html(viewer)
    assert numbers(page, "active")["failed"] == ["1", "1", "0", "0"]
    assert "bygone" in section(page, "ended")


# --- What needs a person ----------------------------------------------------------------------


def lines(page: str) -> list[str]:
    part = section(page, "attention")
    return [text(item) for item in re.findall(r"<li[^>]*>(.*?)</li>", part, re.DOTALL)]


def test_what_needs_a_person_comes_first_and_what_waits_by_itself_last(viewer: Client) -> None:
    now = timezone.now()
    failed, doubtful, parked = staging.failed(), staging.in_doubt(), staging.parked()
    held = staging.purchase({"reserve_inventory": [HELD]})
    due, late = staging.due(), staging.driven_now()
    ages = {failed: 50, doubtful: 40, parked: 30, held: 20}
    for saga, minutes in ages.items():
        at = now - timedelta(minutes=minutes, seconds=30)
        Saga.objects.filter(pk=saga.pk).update(started_at=at, created_at=at)
    Saga.objects.filter(pk=failed.pk).update(ended_at=now - timedelta(minutes=50, seconds=30))
    Saga.objects.filter(pk=due.pk).update(due_at=now - timedelta(minutes=10, seconds=30))
    Saga.objects.filter(pk=late.pk).update(deadline=now - timedelta(minutes=5, seconds=30))
    found = lines(html(viewer))
    assert [re.sub(r"^\w+ ", "", line).split(" purchase_saga")[0] for line in found] == [
        "due, and not taken for 10 min",
        "failed for 50 min",
        "no code for it for 30 min",
        "held back for 20 min",
        "past its deadline for 5 min",
        "in doubt for 40 min",
    ]
    assert found[1].endswith(failed.reason)
    assert found[2].endswith("no code here knows version 9 of 'purchase_saga'")
    assert found[3].endswith("the circuit breaker of 'payment' is open")
    assert found[5].endswith("process_payment may or may not have taken effect")
    page = html(viewer)
    for saga in (failed, doubtful, parked, held, due, late):
        assert f'href="{staging.page_of(saga)}"' in page


def test_more_of_a_kind_are_a_number_with_its_list(viewer: Client) -> None:
    for _ in range(7):
        staging.failed()
    for _ in range(2):
        staging.in_doubt()
    for _ in range(3):
        staging.purchase({"reserve_inventory": [HELD]})
    page = html(viewer)
    part = section(page, "attention")
    more = dict(re.findall(r'href="(\S+)">and (\d+) more', part))
    assert sorted(more.values()) == ["1", "2", "6"]
    counted = {
        viewer.get(unescape(url)).context["cl"].result_count: int(number)
        for url, number in more.items()
    }
    assert counted == {7: 6, 3: 2, 2: 1}, "the list has those that are named as well"


def test_failures_at_different_calls_are_different_kinds_the_last_first(viewer: Client) -> None:
    now = timezone.now()
    older, refused = staging.failed(), staging.failed()
    stuck = staging.purchase({"create_sale": [staging.NO], "release_inventory": [staging.NO]})
    for saga, minutes in ((older, 9), (refused, 3), (stuck, 6)):
        at = now - timedelta(minutes=minutes, seconds=30)
        Saga.objects.filter(pk=saga.pk).update(ended_at=at)
    page = html(viewer)
    first, second = lines(page)
    assert f"for 3 min purchase_saga …{str(refused.pk)[-12:]} and 1 more" in first
    assert first.endswith("the first 9 min ago refund_payment was refused: no money")
    assert f"for 6 min purchase_saga …{str(stuck.pk)[-12:]} release_inventory" in second
    (more,) = re.findall(r'href="(\S+)">and 1 more', section(page, "attention"))
    listed = viewer.get(unescape(more)).context["cl"].result_list
    assert {saga.pk for saga in listed} == {older.pk, refused.pk}
    Saga.objects.filter(pk=older.pk).update(in_doubt=True)
    assert len(lines(html(viewer))) == 3


def test_what_needs_a_person_is_the_first_to_be_seen(viewer: Client) -> None:
    staging.failed()
    assert re.findall(r'aria-labelledby="overview-(\w+)"', html(viewer))[0] == "attention"


def test_nothing_needs_a_person_when_all_goes_well(viewer: Client) -> None:
    staging.completed()
    assert "Nothing: every saga goes on by itself" in section(html(viewer), "attention")


def test_a_saga_that_became_due_just_now_alarms_nobody(viewer: Client) -> None:
    staging.due()
    assert lines(html(viewer)) == []


def test_a_reason_does_not_run(viewer: Client) -> None:
    evil = "<script>alert(1)</script>"
    Saga.objects.filter(pk=staging.failed().pk).update(reason=evil, type='x"onload="y')
    page = html(viewer)
    assert evil not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert '"onload' not in page


# --- Workers ----------------------------------------------------------------------------------


@on_servers
@pytest.mark.django_db(transaction=True)
def test_workers_that_live_are_named_with_what_they_have(viewer: Client) -> None:
    saga = staging.driven_now()
    # As its worker's lease would end soon.
    Saga.objects.filter(pk=saga.pk).update(due_at=timezone.now() + timedelta(seconds=5))
    part = text(section(html(viewer), "workers"))
    assert "No worker is alive" in part
    assert f"{staging.WORKER} is gone" in part
    worker = Presence(staging.WORKER, sure_after=0)
    try:
        worker.gone([])
        part = section(html(viewer), "workers")
        assert f"{staging.WORKER} on {staging.WORKER}, for under 1 min 1 saga" in text(part)
        assert f'href="{staging.page_of(saga)}"' in part
        assert "is gone" not in part
    finally:
        worker.close()


@on_servers
@pytest.mark.django_db(transaction=True)
def test_sagas_that_are_due_without_a_worker_are_an_alarm(viewer: Client) -> None:
    saga = staging.due()
    Saga.objects.filter(pk=saga.pk).update(due_at=timezone.now() - timedelta(minutes=2))
    assert "No worker is alive, and 1 saga is due" in text(html(viewer))
    worker = Presence("host:1:00000000", sure_after=0)
    try:
        worker.gone([])
        page = html(viewer)
        assert 'role="alert"' not in page
        assert lines(page), "it is still said that nobody took it"
    finally:
        worker.close()


# --- Throughput and times ---------------------------------------------------------------------


@pytest.mark.parametrize(("window", "bars"), [("1h", 12), ("24h", 48), ("7d", 56)])
def test_the_chart_has_a_bar_a_slot_and_a_table_beside_it(
    viewer: Client, window: str, bars: int
) -> None:
    for make in (staging.completed, staging.completed, staging.compensated, staging.failed):
        make()
    part = section(html(viewer, f"/admin/?window={window}"), "chart")
    assert part.count("<title>") == 2 * bars
    assert part.count("<tr>") == bars + 1
    last = re.search(r"<tbody>(.*?)</tr>", part, re.DOTALL)
    assert last is not None
    assert text(last[1]).endswith(" 2 1 1 50 %")
    assert "4 sagas ended, at most 4 in one stretch; 50 % of them did not complete" in part
    assert "style=" not in part


def test_the_times_are_those_of_the_last_that_ended(viewer: Client) -> None:
    for seconds in range(1, 21):
        saga = staging.completed()
        end = timezone.now()
        start = end - timedelta(seconds=seconds)
        Saga.objects.filter(pk=saga.pk).update(started_at=start, ended_at=end)
        saga.steps.filter(name="process_payment").update(
            started_at=start, ended_at=start + timedelta(seconds=seconds / 2)
        )
    part = text(section(html(viewer), "times"))
    assert "of the last 500 sagas" in part
    assert "purchase_saga completed 20 10.0 s 19.0 s" in part
    assert "process_payment purchase_saga 20 5.0 s 9.5 s" in part


def test_a_compensated_step_has_no_time(viewer: Client) -> None:
    """Its row says when the compensation ended, not the action."""
    staging.compensated()
    part = text(section(html(viewer), "times"))
    assert "validate_inventory" in part
    assert "reserve_inventory" not in part


# --- Live -------------------------------------------------------------------------------------


def test_the_live_part_is_the_same_and_is_sent_when_it_changed(viewer: Client) -> None:
    staging.failed()
    page = html(viewer)
    tag = re.search(r'data-live="([^"]+)" data-live-every="5000"[^>]*>(.*)', page, re.DOTALL)
    assert tag is not None
    url = unescape(tag[1])
    assert url == "/admin/overview/?window=1h"
    first = viewer.get(url, headers=LIVE)
    assert tag[2].startswith(first.content.decode()), "the page began with the same"
    assert "<html" not in first.content.decode()
    again = viewer.get(url, headers=LIVE | {"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    staging.failed()
    parts.forget()
    changed = viewer.get(url, headers=LIVE | {"If-None-Match": first["ETag"]})
    assert changed.status_code == 200
    assert changed["ETag"] != first["ETag"]
    assert "no-cache" in changed["Cache-Control"]


def test_without_its_header_it_leads_to_the_page(viewer: Client) -> None:
    response = viewer.get("/admin/overview/?window=7d")
    assert (response.status_code, response["Location"]) == (302, "/admin/?window=7d")
    assert viewer.post("/admin/overview/").status_code == 405


def test_many_viewers_cost_as_much_as_one(viewer: Client, root: Client, monkeypatch) -> None:
    looked: list[int] = []
    real = figures.in_progress
    monkeypatch.setattr(overview, "_FRESH", 3.0)

    def in_progress(*args: Any) -> Any:
        looked.append(1)
        return real(*args)

    monkeypatch.setattr(figures, "in_progress", in_progress)
    for _ in range(5):
        for client, window in ((viewer, "1h"), (root, "7d")):
            client.get(f"/admin/overview/?window={window}", headers=LIVE)
    assert len(looked) == 1
    monkeypatch.setattr(overview, "_FRESH", 0.0)
    parts.forget()
    for _ in range(2):
        viewer.get("/admin/overview/", headers=LIVE)
    assert len(looked) > 2, "but not for ever"


def test_a_part_that_fails_says_so_and_the_others_are_there(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging.failed()

    def away(*args: Any) -> Any:
        raise DatabaseError("away")

    monkeypatch.setattr(figures, "durations", away)
    page = html(viewer)
    assert "This could not be read" in section(page, "times")
    assert page.count("This could not be read") == 1
    assert numbers(page, "active")["failed"][0] == "1"


def test_every_part_may_fail(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: Any) -> Any:
        raise DatabaseError("away")

    for name in ("in_progress", "resting", "durations", "failures"):
        monkeypatch.setattr(figures, name, away)
    monkeypatch.setattr(tally, "ended", away)
    assert html(viewer).count("This could not be read") == 7


@pytest.mark.parametrize("window", ["", "2h", "1h&window=x", "💥", "9" * 5000])
def test_a_window_that_there_is_not_is_an_hour(viewer: Client, window: str) -> None:
    page = html(viewer, f"/admin/?window={window}")
    assert 'data-live="/admin/overview/?window=1h"' in page
    assert viewer.get(f"/admin/overview/?window={window}", headers=LIVE).status_code == 200


# --- Rights -----------------------------------------------------------------------------------


def test_it_is_for_those_who_may_see_sagas(login, client: Client) -> None:
    staging.failed()
    nobody = login("nobody")
    page = html(nobody)
    assert "data-live" not in page
    assert "saga-card" not in page
    assert nobody.get("/admin/overview/", headers=LIVE).status_code == 403
    response = client.get("/admin/overview/", headers=LIVE)
    assert response.status_code == 302
    assert urlsplit(response["Location"]).path == "/admin/login/"


def test_the_windows_are_links_and_the_chosen_one_is_told(viewer: Client) -> None:
    page = html(viewer, "/admin/?window=24h")
    nav = page[page.index('class="saga-windows"') :]
    nav = nav[: nav.index("</nav>")]
    assert re.findall(r'href="([^"]+)"( aria-current="true")?', nav) == [
        ("?window=1h", ""),
        ("?window=24h", ' aria-current="true"'),
        ("?window=7d", ""),
    ]
    assert overview.WINDOWS.keys() == {parse_qs(u[1:])["window"][0] for u in re.findall(
        r'href="([^"]+)"', nav)}  # fmt: skip


@needs_redis
def test_while_redis_is_away_the_page_says_so_in_the_breakers_box(viewer: Client) -> None:
    cache = settings.CACHES["default"] | {"LOCATION": "redis://127.0.0.1:1/0"}
    with override_settings(
        CACHES={"default": cache}, SAGA_PARTICIPANTS={"payment": "http://127.0.0.1:1"}
    ):
        participants.cache_clear()
        staging.failed()
        page = html(viewer)
    participants.cache_clear()
    assert "Redis does not answer" in section(page, "breakers")
    assert "This could not be read" not in page
    assert numbers(page, "active")["failed"][0] == "1"
