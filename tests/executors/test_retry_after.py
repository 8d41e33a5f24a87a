"""The Retry-After header in all its forms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from executors.retry_after import parse_retry_after
from tests.executors.tcp import (
    http,
)
from tests.executors.trip import outcome_of

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 120 ", 120),
        ("0000000009", 9),
        ("9999999999", 9_999_999_999),
        ("9" * 5000, 10**9),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        ("Fri, 02 Jan 2026 03:05:05 -0000", 60),
        ("Friday, 02-Jan-26 03:05:05 GMT", 60),
        ("Fri, 02 Jan 2026 05:05:05 +0200", 60),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), None),
        (format_datetime(NOW, usegmt=True), None),
        (None, None),
        *((garbage, None) for garbage in ("", "-5", "1.5", "+3", "1e3", "٣", "soon", "1, 2", ",")),
        ("Fri, 32 Jan 2026 03:05:05 GMT", None),
        ("Fri, 02 Jan 99999 03:05:05 GMT", None),
        ("Fri, 02 Jan 2026 03:05:05 +9999999999", None),
    ],
)
def test_retry_after(value, seconds):
    found = parse_retry_after(value, NOW)
    assert found == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize("status", [429, 503, 302])
def test_retry_after_comes_with_the_outcome(serve, status):
    outcome = outcome_of(serve, http(status, headers="Retry-After: 7\r\n"))
    assert outcome.retry_after == timedelta(seconds=7)
