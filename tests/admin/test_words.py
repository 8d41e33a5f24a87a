"""How lengths of time, events and documents are put into words."""

from datetime import timedelta

import pytest

from sagas.admin.words import EVENTS, MAX_JSON, event_look, pretty, span
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
