"""How long a saga waits before it calls a participant again, and what the history says of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import format_datetime

import pytest
from django.test import override_settings

from sagas import selectors, services
from tests.conftest import QUICK
from tests.participants.stage import changed

OWN, CAP, JITTER = 0.5, 20.0, 1.1
"""Seconds of the policy's own first wait, and of its longest; a wait grows by up to a tenth."""

COUNTING = changed(retry_delay=OWN)
FORMS = {
    "seconds": ("7", 7),
    "spaces": ("  7", 7),
    "leading zeros": ("0000007", 7),
    "at once": ("0", OWN),
    "more than the cap": ("3600", CAP),
    "far too many": ("9" * 150, CAP),
    "negative": ("-5", OWN),
    "decimal": ("1.5", OWN),
    "signed": ("+7", OWN),
    "exponent": ("1e1", OWN),
    "garbage": ("soon", OWN),
    "two": ("7, 8", OWN),
    "date": (timedelta(seconds=10), 10),
    "past date": (-timedelta(days=1), OWN),
    "date far away": (timedelta(days=365_000), CAP),
    "no such date": ("Fri, 32 Jan 2026 03:05:05 GMT", OWN),
}


@pytest.fixture(autouse=True)
def patient(stage):
    retry = QUICK["SAGA_RETRY"] | {"max_delay": CAP}  # type: ignore[operator]
    with override_settings(SAGA_RETRY=retry):
        yield


def wait_after(stage, call: str, saga_id) -> float:
    """Seconds from the answer to the retry, as the history has them, when all else agrees."""
    (event,) = stage.events(saga_id, call)
    assert event.kind == "attempt_failed"
    retry_at = datetime.fromisoformat(event.data["retry_at"])
    saga = services.get_saga(saga_id)
    assert (saga.due_at, saga.owner) == (retry_at, "")
    before = stage.ledger(saga_id)
    stage.drive(saga_id)  # too early
    assert stage.ledger(saga_id) == before
    assert saga_id not in selectors.due_sagas(10)
    wait: timedelta = retry_at - event.at
    return wait.total_seconds()


def header(value: str | timedelta) -> str:
    if isinstance(value, str):
        return value
    return format_datetime(selectors.database_now() + value, usegmt=True)


@pytest.mark.parametrize(("value", "seconds"), FORMS.values(), ids=FORMS.keys())
def test_retry_after_is_honoured_and_capped_in_all_its_forms(stage, value, seconds):
    stage.odd("shop", "error", "action", status=503, retry_after=header(value))
    saga_id = stage.buy(COUNTING)
    stage.drive(saga_id)
    # A date knows no parts of a second, and some time passes until the answer is recorded.
    slack = 1.5 if isinstance(value, timedelta) else 0
    assert seconds - slack <= wait_after(stage, "action", saga_id) <= seconds * JITTER


@pytest.mark.parametrize("status", [408, 425, 429, 500, 599])
def test_retry_after_counts_whatever_the_status(stage, status):
    stage.odd("shop", "error", "action", status=status, retry_after="7")
    saga_id = stage.buy(COUNTING)
    stage.drive(saga_id)
    assert 7 <= wait_after(stage, "action", saga_id) <= 7 * JITTER


def test_retry_after_counts_with_a_redirect(stage):
    stage.odd("shop", "redirect", "action", retry_after="7")
    saga_id = stage.buy(COUNTING)
    stage.drive(saga_id)
    assert 7 <= wait_after(stage, "action", saga_id) <= 7 * JITTER


def test_retry_after_counts_for_a_compensation(stage):
    saga = stage.run(stage.buy(COUNTING))
    stage.odd("shop", "error", "compensation", status=429, retry_after="7")
    services.compensate(saga.id, actor="test")
    stage.drive(saga.id)
    assert 7 <= wait_after(stage, "compensation", saga.id) <= 7 * JITTER


def test_a_last_attempt_waits_for_nothing(stage):
    stage.odd("shop", "error", "action", status=503, retry_after="7")
    saga = stage.run(stage.buy(changed(max_retries=0)))
    assert saga.status == "compensated"
    (event,) = stage.events(saga.id)
    assert "retry_at" not in event.data


def test_a_refusal_s_retry_after_means_nothing(stage):
    stage.odd("shop", "error", "action", status=403, retry_after="7")
    assert stage.run(stage.buy(COUNTING)).status == "compensated"
