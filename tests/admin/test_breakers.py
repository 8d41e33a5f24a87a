"""Circuit breakers in the console: why one is open, and its reset."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.test import Client, override_settings

from executors.breaker import Culprit, Phase, held_by
from executors.participants import participants
from sagas.admin import parts
from sagas.models import Saga
from tests.admin import staging
from tests.admin.test_overview import HELD, html, section, text
from tests.executors.test_breaker import needs_redis

pytestmark = pytest.mark.django_db

RESET = "/admin/breakers/payment/reset/"


@pytest.fixture(autouse=True)
def payment() -> Iterator[None]:
    """One participant, with a breaker as new."""
    with override_settings(SAGA_PARTICIPANTS={"payment": "http://127.0.0.1:1"}):
        participants.cache_clear()
        participants().get("payment").breaker.reset()
        parts.forget()
        yield
        participants().get("payment").breaker.reset()
    participants.cache_clear()


@pytest.fixture
def operator(login) -> Client:
    client: Client = login("ann", "view_saga", "reset_breaker")
    return client


def phase() -> Phase:
    return participants().get("payment").breaker.look().phase


def fail(times: int = 5, *, saga: Saga | None = None, error: str = "answered 503") -> None:
    breaker = participants().get("payment").breaker
    by = Culprit(
        saga_id=str(saga.pk) if saga else "none",
        saga_type="purchase_saga",
        step="process_payment",
        error=error,
        worker="host-a:7:aabbccdd",
    )
    for _ in range(times):
        breaker.failed(breaker.enter(), by)


def test_an_open_one_says_who_opened_it_and_how_many_wait(viewer: Client) -> None:
    saga = staging.failed()
    for _ in range(2):
        staging.purchase({"process_payment": [HELD]})
    fail(saga=saga, error="payment answered 503: <b>no</b>")
    part = section(html(viewer), "breakers")
    told = text(part)
    assert "payment block open" in told
    assert "nothing is sent until" in told
    assert "process_payment: payment answered 503: <b>no</b> host-a:7:aabbccdd" in told
    assert "<b>no</b>" not in part
    assert f'href="{staging.page_of(saga)}"' in part
    assert "2 sagas wait for it" in told
    assert "Reset" not in told, "this one may only look"


def test_a_closed_one_says_how_near_it_is(operator: Client) -> None:
    assert "0 of 5 failures that open it" in text(section(html(operator), "breakers"))
    assert RESET not in html(operator)
    fail(3)
    page = html(operator)
    assert "3 of 5 failures that open it" in text(section(page, "breakers"))
    assert f'href="{RESET}"' in page


def test_a_reset_takes_a_reason_and_is_recorded(
    operator: Client, caplog: pytest.LogCaptureFixture
) -> None:
    fail(saga=staging.failed())
    page = html(operator, RESET)
    assert "Reset the circuit breaker of payment?" in page
    assert "csrfmiddlewaretoken" in page
    assert phase() is Phase.OPEN, "a look at the confirmation resets nothing"
    for empty in ({}, {"reason": "  "}):
        assert operator.post(RESET, empty).status_code == 200
    assert phase() is Phase.OPEN
    assert not LogEntry.objects.exists()
    with caplog.at_level(logging.WARNING, "sagas.admin.breakers"):
        response = operator.post(RESET, {"reason": "payment is back"}, follow=True)
    assert phase() is Phase.CLOSED
    assert "The breaker of payment is closed; it was open." in response.content.decode()
    assert "0 of 5 failures" in response.content.decode(), "what was remembered is forgotten"
    entry = LogEntry.objects.get()
    assert entry.user.get_username() == "ann"
    assert entry.object_repr == "circuit breaker of payment"
    assert entry.change_message == "reset, it was open: payment is back"
    (record,) = (r for r in caplog.records if r.getMessage() == "breaker reset")
    assert vars(record)["actor"] == "user:ann"
    assert vars(record)["reason"] == "payment is back"


def test_who_may_not_reset_it_does_not(viewer: Client, login) -> None:
    fail()
    blind = login("blind", "reset_breaker")
    for client in (viewer, blind):
        assert client.get(RESET).status_code == 403
        assert client.post(RESET, {"reason": "because"}).status_code == 403
    assert Client().post(RESET, {"reason": "because"}).status_code == 302
    assert phase() is Phase.OPEN


def test_what_is_remembered_for_one_shows_no_other_what_he_may_not(
    operator: Client, viewer: Client
) -> None:
    fail()
    for client, may_reset in ((operator, True), (viewer, False), (operator, True)):
        assert (RESET in client.get("/admin/").content.decode()) is may_reset


def test_a_reset_needs_its_token(operator: Client) -> None:
    fail()
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    assert strict.post(RESET, {"reason": "because"}).status_code == 403
    assert phase() is Phase.OPEN


@pytest.mark.parametrize("name", ["nobody", "💥", "payment%0A", "a" * 3000])
def test_a_participant_that_there_is_not_has_none(operator: Client, name: str) -> None:
    for answer in (
        operator.get(f"/admin/breakers/{name}/reset/"),
        operator.post(f"/admin/breakers/{name}/reset/", {"reason": "x"}),
    ):
        assert answer.status_code == 404


@needs_redis
def test_while_redis_is_away_nothing_is_reset_nor_recorded(operator: Client) -> None:
    cache = settings.CACHES["default"] | {"LOCATION": "redis://127.0.0.1:1/0"}
    with override_settings(CACHES={"default": cache}):
        participants.cache_clear()
        response = operator.post(RESET, {"reason": "because"}, follow=True)
        assert "was not reset: Redis does not answer" in response.content.decode()
    participants.cache_clear()
    assert not LogEntry.objects.exists()


def test_a_saga_says_that_it_waits_for_the_breaker_as_the_breaker_does() -> None:
    saga = staging.purchase({"process_payment": [HELD]})
    assert saga.waiting == held_by("payment")
