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
    found = re.search(r'<p class="saga-standing">(.*?)</p>', html(client, saga), re.DOTALL)
    assert found
    return unescape(found[1])


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            staging.pending,
            "Pending: nothing was called yet; it starts when somebody asks to execute it.",
        ),
        (
            staging.due,
            "Going forward: validate_inventory has been due for SPAN and waits for a free worker.",
        ),
        (
            staging.driven_now,
            "Going forward: process_payment is being called by worker worker-7.",
        ),
        (
            staging.in_doubt,
            "Going forward: attempt 2 of process_payment (before: no answer in time) follows"
            " at TIME UTC, in SPAN.",
        ),
        (
            staging.held,
            "Going forward: reserve_inventory waits: the breaker is open; looked at again"
            " at TIME UTC, in SPAN.",
        ),
        (
            staging.parked,
            "Going forward: validate_inventory waits: no code here knows version 9 of"
            " 'purchase_saga'; looked at again at TIME UTC, in SPAN.",
        ),
        (
            staging.compensating,
            "Compensating, because create_sale was refused: no money; now attempt 2 of"
            " refund_payment (before: no answer in time) follows at TIME UTC, in SPAN.",
        ),
        (staging.completed, "Completed: all 5 actions succeeded in SPAN; nothing follows."),
        (
            staging.compensated,
            "Compensated: process_payment was refused: no money; no effect is left, and nothing"
            " follows by itself.",
        ),
        (
            staging.failed,
            "Failed: refund_payment was refused: no money — a person must decide: retry or"
            " compensate.",
        ),
    ],
)
def test_the_sentence(viewer: Client, make: Callable[[], Saga], sentence: str) -> None:
    text = standing(viewer, make())
    text = re.sub(r"\d\d:\d\d:\d\d", "TIME", text)
    text = re.sub(r"(?<=in |or )\d[\d.]* (ms|s|min|h)( \d+ (min|s))?", "SPAN", text)
    assert text == sentence


def test_the_sentence_after_a_worker_vanished(viewer: Client) -> None:
    saga = staging.driven_now()
    ended = timezone.now() - timedelta(seconds=90)
    Saga.objects.filter(pk=saga.pk).update(due_at=ended)
    assert standing(viewer, saga).startswith(
        "Going forward: the lease of worker worker-7 ended 1 min 30 s ago; another one takes"
        " process_payment over."
    )


def test_the_sentence_while_a_compensate_waits_for_the_call_in_flight(viewer: Client) -> None:
    saga = staging.driven_now()
    services.compensate(saga.pk, actor="user:x", reason="wrong price")
    assert standing(viewer, saga) == (
        "Going forward: process_payment is being called by worker worker-7; then it compensates,"
        " as somebody asked."
    )
