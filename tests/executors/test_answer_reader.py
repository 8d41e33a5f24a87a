"""The reader of answers: odd ones, whole or refused, however they are cut into pieces."""

from __future__ import annotations

import pytest

from executors.answer_reader import Answer, CutOff, Improper, TooLarge, read
from tests.executors.sending import chunked
from tests.executors.tcp import http

MOST = 1000
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


class Sent:
    """What a server sent, before it closed: in pieces of that size."""

    def __init__(self, data: bytes, piece: int) -> None:
        self.left = data
        self.asked = 0
        self._piece = piece

    def __call__(self, most: int) -> bytes:
        assert most > 0
        self.asked += 1
        size = min(most, self._piece)
        given, self.left = self.left[:size], self.left[size:]
        return given


def found(data: bytes, piece: int = 10**6, method: str = "POST") -> tuple[Answer, bool]:
    return read(Sent(data, piece), method, MOST)


def test_an_answer_in_one_piece_is_received_at_once():
    sent = Sent(http(body=b'{"ok":true}'), 10**6)
    assert read(sent, "POST", MOST)[1]
    assert sent.asked == 1


# --- Whole answers: status, body, and whether the connection may be used again ----------------

WHOLE: dict[str, tuple[bytes, int, bytes, bool]] = {
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, b"", True),
    "an empty reason": (b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", 200, b"", True),
    "lines without CR": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}", 200, b"{}", True),
    "mixed lines": (b"HTTP/1.1 200 OK\nContent-Length: 2\r\n\n{}", 200, b"{}", True),
    "no header": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "a length twice": (HEAD + b"Content-Length: 2\r\n" * 2 + b"\r\n{}", 200, b"{}", True),
    "a length as a list": (HEAD + b"Content-Length: 2, 2\r\n\r\n{}", 200, b"{}", True),
    "a folded header": (
        HEAD + b"X: a\r\n  b\r\nContent-Length:\r\n\t2\r\n\r\n{}",
        200,
        b"{}",
        True,
    ),
    "no length": (HEAD + b"\r\n{}", 200, b"{}", False),
    "until the end, to the limit": (HEAD + b"\r\n" + b"x" * MOST, 200, b"x" * MOST, False),
    "identity": (
        HEAD + b"Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}",
        200,
        b"{}",
        True,
    ),
    "close": (HEAD + b"Connection: Close\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}", False),
    "close in a list": (
        HEAD + b"Connection: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        200,
        b"",
        False,
    ),
    "1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}", False),
    "1.0 that is kept": (
        b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\n{}",
        200,
        b"{}",
        True,
    ),
    "more than was asked": (http() + b"H", 200, b"{}", False),
    "a body where none may be": (
        b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n{}",
        204,
        b"",
        False,
    ),
    "304 with the length that it would have": (
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n",
        304,
        b"",
        True,
    ),
    "101": (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", 101, b"", False),
    "interim": (b"HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n" * 3 + http(), 200, b"{}", True),
    "chunks": (chunked(b'{"a":', b"1}"), 200, b'{"a":1}', True),
    "no chunk": (CHUNKED + b"0\r\n\r\n", 200, b"", True),
    "extensions": (CHUNKED + b'2 ;a="b"\r\n{}\r\n0;c\r\n\r\n', 200, b"{}", True),
    "digits of both cases": (
        CHUNKED + b"00A\r\n0123456789\r\n00\r\n\r\n",
        200,
        b"0123456789",
        True,
    ),
    "trailers": (chunked(b"{}", end=b"0\r\nA: b\r\nC: d\r\n\r\n"), 200, b"{}", True),
    "chunks and a length": (
        HEAD + b"Content-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        200,
        b"{}",
        False,
    ),
    "chunks in 1.0": (
        CHUNKED.replace(b"1.1", b"1.0").replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n")
        + b"2\r\n{}\r\n0\r\n\r\n",
        200,
        b"{}",
        False,
    ),
}


@pytest.mark.parametrize(("data", "status", "body", "lasts"), WHOLE.values(), ids=WHOLE.keys())
def test_a_whole_answer_is_read_however_it_is_cut(data, status, body, lasts):
    answer, reusable = found(data)
    assert (answer.status, answer.body, reusable) == (status, body, lasts)
    for piece in (1, 2, 7):
        sent = Sent(data, piece)
        answer, reusable = read(sent, "POST", MOST)
        assert (answer.status, answer.body) == (status, body)
        # What is still to come shows when the connection is looked at before the next call.
        assert (reusable and not sent.left) is lasts


def test_an_answer_to_head_has_no_body():
    assert found(http(body=b""), method="HEAD") == found(
        http(body=b"", length=99).replace(b"99", b"0")
    )
    assert found(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", method="HEAD")[1]


def test_headers_are_in_lower_case_trimmed_and_joined():
    answer, _ = found(
        HEAD + b"X-A:\t 1 \r\nx-a: 2\r\nEmpty:\r\nLatin: \xe9\x85\x1c\r\nContent-Length: 0\r\n\r\n"
    )
    assert answer.headers == {
        "x-a": "1, 2",
        "empty": "",
        "latin": "\xe9\x85\x1c",
        "content-length": "0",
    }


# --- What is no answer ------------------------------------------------------------------------

REFUSED: dict[str, tuple[bytes, type[Exception]]] = {
    "nothing": (b"", CutOff),
    "another protocol": (b"SSH-2.0-OpenSSH_9.2", Improper),
    "HTTP/2": (b"HTTP/2 200\r\n\r\n", Improper),
    "a status of two digits": (b"HTTP/1.1 20 OK\r\n\r\n", Improper),
    "a status of four digits": (b"HTTP/1.1 2000 OK\r\n\r\n", Improper),
    "a status that begins with 0": (b"HTTP/1.1 020 OK\r\n\r\n", Improper),
    "CR in the status line": (b"HTTP/1.1 200 O\rK\r\n\r\n", Improper),
    "a fold before any header": (HEAD + b" x: y\r\n\r\n", Improper),
    "a line that is no header": (HEAD + b"hello\r\nContent-Length: 0\r\n\r\n", Improper),
    "a header without a name": (HEAD + b": x\r\nContent-Length: 0\r\n\r\n", Improper),
    "a space before the colon": (HEAD + b"Content-Length : 0\r\n\r\n", Improper),
    "CR in a header": (HEAD + b"X: a\rContent-Length: 0\r\n\r\n", Improper),
    "NUL in a header": (HEAD + b"X: \0\r\nContent-Length: 0\r\n\r\n", Improper),
    "a bad header of an interim answer": (b"HTTP/1.1 103 Hints\r\nx\r\n\r\n" + http(), Improper),
    "two lengths": (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", Improper),
    "a list of two lengths": (HEAD + b"Content-Length: 2, 3\r\n\r\n{}", Improper),
    "a negative length": (HEAD + b"Content-Length: -2\r\n\r\n{}", Improper),
    "a length with a sign": (HEAD + b"Content-Length: +2\r\n\r\n{}", Improper),
    "a length with _": (HEAD + b"Content-Length: 1_0\r\n\r\n0123456789", Improper),
    "a length in other digits": (HEAD + b"Content-Length: \xb2\r\n\r\n{}", Improper),
    "an empty length": (HEAD + b"Content-Length:\r\n\r\n{}", Improper),
    "a length without end": (HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", Improper),
    "a length over the limit": (HEAD + b"Content-Length: 1001\r\n\r\n", TooLarge),
    "too much until the end": (HEAD + b"\r\n" + b"x" * 1001, TooLarge),
    "another encoding": (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n", Improper),
    "chunked twice": (HEAD + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n", Improper),
    "no size": (CHUNKED + b"\r\n", Improper),
    "a size with 0x": (CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n", Improper),
    "a size with a sign": (CHUNKED + b"+2\r\n{}\r\n0\r\n\r\n", Improper),
    "a size of many digits": (CHUNKED + b"0" * 16 + b"2\r\n{}\r\n0\r\n\r\n", Improper),
    "a longer chunk": (CHUNKED + b"1\r\n{}\r\n0\r\n\r\n", Improper),
    "a shorter chunk": (CHUNKED + b"3\r\n{}\r\n0\r\n\r\n", Improper),
    "chunks over the limit": (chunked(b"x" * 600, b"x" * 401), TooLarge),
    "a chunk over the limit": (CHUNKED + b"3e9\r\n", TooLarge),
    "an extension without end": (CHUNKED + b"2;" + b"x" * 70_000, Improper),
    "a trailer that is none": (chunked(b"{}", end=b"0\r\nx\r\n\r\n"), Improper),
    "trailers without end": (chunked(b"{}", end=b"0\r\n" + b"X: y\r\n" * 20_000), Improper),
    "a head without end": (HEAD + b"X: y\r\n" * 20_000, Improper),
    "a line without end": (b"HTTP/1.1 200 " + b"x" * 70_000, Improper),
    "101 headers": (HEAD + b"X: y\r\n" * 101 + b"\r\n", Improper),
}


@pytest.mark.parametrize(("data", "error"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_answer_is_refused_however_it_is_cut(data, error):
    for piece in (10**6, 7) if len(data) > 4000 else (10**6, 7, 2, 1):
        with pytest.raises(error):
            found(data, piece)


@pytest.mark.parametrize("data", [http(), chunked(b"{", b"}", end=b"0\r\nA: b\r\n\r\n")])
def test_an_answer_that_is_cut_off_anywhere_is_none(data):
    for end in range(len(data)):
        with pytest.raises(CutOff):
            found(data[:end])
