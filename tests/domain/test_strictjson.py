"""Strict JSON: what it refuses without looking through every value."""

from __future__ import annotations

import pytest

from sagas.domain.strictjson import MAX_DEPTH, loads


def test_a_byte_order_mark_is_named():
    with pytest.raises(ValueError, match=r"^starts with a byte order mark$"):
        loads(b"\xef\xbb\xbf{}")


@pytest.mark.parametrize(("before", "after"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_depth_is_counted_to_the_innermost_value(before, after):
    levels = MAX_DEPTH - 1
    loads(before * levels + b"1" + after * levels)
    loads(b"[" + b"[],{}," * MAX_DEPTH + b"1]")  # brackets side by side are no depth
    with pytest.raises(ValueError, match="nested more than 32 levels"):
        loads(before * MAX_DEPTH + b"1" + after * MAX_DEPTH)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (rb'{"a":["\u0000"]}', "U\\+0000"),
        (rb'{"a\u0000":1}', "U\\+0000"),
        (rb'["\ud800"]', "lone surrogate"),
        (b'["\0"]', "Invalid control character"),
        (b'["\xed\xa0\x80"]', "not UTF-8 at byte 2"),
    ],
)
def test_characters_that_cannot_be_stored(text, why):
    with pytest.raises(ValueError, match=why):
        loads(text)


def test_escapes_that_are_characters_are_read():
    assert loads(rb'["\u00e9\ud83d\ude00"]') == ["\u00e9\U0001f600"]
