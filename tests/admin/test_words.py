"""How lengths of time, events and documents are put into words."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import translation

from sagas.admin.words import EVENTS, MAX_JSON, clock, event_look, grouped, pretty, span
from sagas.domain.attempts import AttemptEvent
from sagas.domain.codec import KINDS
from sagas.domain.state import CallKind


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 ms"),
        (0.0004, "0 ms"),
        (0.34, "340 ms"),
        (0.9996, "1.0 s"),
        (1, "1.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min"),
        (185, "3 min 5 s"),
        (3599.6, "1 h"),
        (7800, "2 h 10 min"),
        (86_400, "1 d"),
        (4 * 86_400 + 3 * 3600 + 59, "4 d 3 h"),
        (-12, "−12.0 s"),
    ],
)
def test_lengths_of_time(seconds: float, words: str) -> None:
    assert span(timedelta(seconds=seconds)) == words


def test_numbers_lengths_and_times_are_written_as_the_language_does() -> None:
    at = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    assert clock(at, at + timedelta(days=1)) == "2026-03-01 12:30:00 UTC"
    assert grouped(12_345) == "12,345"
    with translation.override("fr"):
        assert span(timedelta(seconds=4.2)) == "4,2 s"
        assert span(timedelta(days=4, hours=3)) == "4 j 3 h"
        assert clock(at, at + timedelta(days=1)) == "12:30:00 UTC le 2026-03-01"
        assert grouped(12_345) == "12\N{NO-BREAK SPACE}345"


def test_every_kind_of_event_has_its_words() -> None:
    known = {
        (kind, call)
        for kind, cls in KINDS.items()
        for call in ([c.value for c in CallKind] if issubclass(cls, AttemptEvent) else [""])
    }
    assert set(EVENTS) == known
    assert len({str(look.text) for look in EVENTS.values()}) == len(EVENTS)


def test_a_kind_of_a_newer_version_is_shown_by_its_name() -> None:
    assert event_look("branch_opened", "").text == "branch opened"


def test_a_very_long_document_is_cut() -> None:
    text = pretty(["x" * 30_000])
    assert len(text) == MAX_JSON + 2
    assert text.endswith("\n…")
    assert pretty({"é": 1}) == '{\n  "é": 1\n}'
