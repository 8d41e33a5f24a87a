"""The sentence on top of a saga's page: why it is there and what happens next."""

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape

import pytest
from django.test import Client
from django.utils import timezone

from sagas import services
from sagas.models import Saga
from tests.admin import staging
from tests.admin.staging import html

pytestmark = pytest.mark.django_db


def standing(client: Client, saga: Saga) -> str:
    found = re.search(r'<p class="saga-standing"[^>]*>(.*?)</p>', html(client, saga), re.DOTALL)
    assert found
    return unescape(found[1])


def plain(text: str) -> str:
    """The sentence without what the clock makes of it."""
    text = re.sub(r"(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d UTC", "TIME", text)
    return re.sub(r"(?<![-\w])\d[\d.]* (ms|s|min|h)( \d+ (min|s))?\b", "SPAN", text)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            staging.pending,
            "Pending: nothing was called yet; it starts when somebody asks to execute it.",
        ),
        (
            staging.due,
            "Going forward: validate_inventory has been due since TIME, for SPAN, and waits for a"
            " free worker.",
        ),
        (
            staging.driven_now,
            "Going forward: process_payment is being called by worker worker-7, whose lease ends"
            " at TIME, in SPAN.",
        ),
        (
            staging.in_doubt,
            "Going forward: attempt 2, of at most 4, of process_payment (before: no answer in"
            " time) follows at TIME, in SPAN. In doubt: process_payment may or may not have taken"
            " effect.",
        ),
        (
            staging.held,
            "Going forward: reserve_inventory waits: the breaker is open; looked at again"
            " at TIME, in SPAN.",
        ),
        (
            staging.parked,
            "Going forward: validate_inventory waits: no code here knows version 9 of"
            " 'purchase_saga'; looked at again at TIME, in SPAN.",
        ),
        (
            staging.compensating,
            "Compensating, because create_sale was refused: no money; now attempt 2, of at"
            " most 4, of refund_payment (before: no answer in time) follows at TIME, in SPAN.",
        ),
        (staging.completed, "Completed at TIME, SPAN ago: all 5 actions succeeded in SPAN."),
        (
            staging.compensated,
            "Compensated at TIME, SPAN ago: process_payment was refused: no money.",
        ),
        (
            staging.failed,
            "Failed at TIME, SPAN ago: refund_payment was refused: no money. Nothing follows until"
            " a person decides. Not taken back: reserve_inventory, process_payment.",
        ),
    ],
)
def test_the_sentence(viewer: Client, make: Callable[[], Saga], sentence: str) -> None:
    text = standing(viewer, make())
    assert plain(text) == sentence


def test_the_sentence_after_a_worker_vanished(viewer: Client) -> None:
    saga = staging.driven_now()
    ended = timezone.now() - timedelta(seconds=90)
    Saga.objects.filter(pk=saga.pk).update(due_at=ended)
    assert standing(viewer, saga).startswith(
        "Going forward: worker worker-7 is silent, its lease has been over since "
    )
    assert "for 1 min 30 s; another one takes process_payment over." in standing(viewer, saga)


def test_the_sentence_while_a_compensate_waits_for_the_call_in_flight(viewer: Client) -> None:
    saga = staging.driven_now()
    services.compensate(saga.pk, actor="user:x", reason="wrong price")
    assert plain(standing(viewer, saga)) == (
        "Going forward: process_payment is being called by worker worker-7, whose lease ends at"
        " TIME, in SPAN; then it compensates, as somebody asked."
    )


def test_the_sentence_of_a_saga_that_was_cancelled(viewer: Client) -> None:
    saga = staging.pending()
    services.compensate(saga.pk, actor="user:x", reason="not wanted")
    assert plain(standing(viewer, saga)) == (
        "Compensated at TIME, SPAN ago: not wanted. Nothing had been called."
    )


def test_the_sentence_between_claim_and_call(viewer: Client) -> None:
    saga = staging.due()
    later = timezone.now() + timedelta(seconds=7)
    Saga.objects.filter(pk=saga.pk).update(owner="worker-7", due_at=later)
    assert plain(standing(viewer, saga)) == (
        "Going forward: worker worker-7 is about to call validate_inventory; its lease ends at"
        " TIME, in SPAN."
    )


def test_the_sentence_tells_of_workers_that_vanished_and_of_the_deadline(viewer: Client) -> None:
    saga = staging.due()
    deadline = timezone.now() + timedelta(days=2)
    Saga.objects.filter(pk=saga.pk).update(crashes=2, deadline=deadline)
    text = standing(viewer, saga)
    assert "Its worker vanished 2 times in a row; 3 times stop it." in text
    assert f"Its deadline is at {deadline:%Y-%m-%d %H:%M:%S} UTC, in 2 d." in text


def test_the_sentence_of_a_stopped_saga_whose_code_is_gone(viewer: Client) -> None:
    saga = staging.failed()
    Saga.objects.filter(pk=saga.pk).update(definition_version=9)
    assert standing(viewer, saga).endswith(
        "No code here knows version 9 of purchase_saga, so nothing can be done here."
    )
