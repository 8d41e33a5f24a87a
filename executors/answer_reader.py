"""Reads one HTTP/1.1 answer (RFC 9112), strictly: what is not surely whole is no answer.

The standard library's reader takes a head that is cut off for a whole one, and so perhaps a lost
answer for an empty success; it forgets the headers below a line that is none, guesses where a
length is no number, and loses what follows an answer. It also costs more than the rest of a call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_MOST_HEAD = 65536
"""Bytes of a head; also of the line that announces a chunk, and of the trailers."""

_MOST_HEADERS = 100
_MOST_DIGITS = 100  # of a length: far more than any limit, and far less than is slow to read
_PIECE = 16384

_BEGINNING = b"HTTP/1."
_STATUS = re.compile(rb"HTTP/1\.([0-9])[ \t]+([1-9][0-9]{2})(?:[ \t][^\r\n\0]*)?\r?\n")
_HEADERS = re.compile(rb"(?:[!-9;-~]+:[^\r\n\0]*\r?\n)*")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n\0]*)?\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_LINE_END = re.compile(rb"\n")
_BLANK_LINE = re.compile(rb"\n\r?\n")

_SWITCHING = 101
_EMPTY = frozenset({_SWITCHING, 204, 304})


class Improper(Exception):
    """What came is not proper HTTP."""


class CutOff(Exception):
    """The connection ended before the answer was whole."""


class TooLarge(Exception):
    """The body is longer than the limit."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a participant answered, whole, and as it was sent."""

    status: int
    headers: Mapping[str, str]
    """By name, in lower case; the values of one that is repeated are joined with commas."""

    body: bytes


def read(receive: Callable[[int], bytes], method: str, max_body: int) -> tuple[Answer, bool]:
    """The answer to a call of that method, and whether the connection may serve another.

    `receive` gives that many bytes or fewer, none once the connection has ended; what it raises is
    passed on. Raises Improper, CutOff or TooLarge.
    """
    reader = _Reader(receive)
    version, status, headers = reader.head()
    while status < 200 and status != _SWITCHING:  # early hints, say: the answer is yet to come
        version, status, headers = reader.head()
    lasts = _lasts(version, headers.get("connection", "").lower())
    length = _length(headers)
    if method == "HEAD" or status in _EMPTY:
        body, lasts = b"", lasts and status != _SWITCHING  # which now speaks something else
    elif _is_chunked(headers):
        body = reader.chunks(max_body)
        # With two framings somebody on the way may see another end than we do.
        lasts = lasts and length is None and version > 0
    elif length is None:
        body, lasts = reader.rest(max_body), False
    elif length > max_body:
        raise TooLarge
    else:
        body = reader.exactly(length)
    return Answer(status, headers, body), lasts and reader.is_done


def _lasts(version: int, connection: str) -> bool:
    """Whether the server keeps the connection, which HTTP/1.0 does only where it says so."""
    return "close" not in connection if version else "keep-alive" in connection


def _is_chunked(headers: Mapping[str, str]) -> bool:
    coding = headers.get("transfer-encoding", "identity").lower()
    if coding not in ("chunked", "identity"):
        raise Improper("an encoding that was not asked for")
    return coding == "chunked"


def _length(headers: Mapping[str, str]) -> int | None:
    given = headers.get("content-length")
    if given is None:
        return None
    lengths = {text.strip(" \t") for text in given.split(",")} if "," in given else {given}
    length = lengths.pop()
    if lengths or not length.isdecimal() or len(length) > _MOST_DIGITS:
        raise Improper("a length that is none, or more than one")
    return int(length)


class _Reader:
    """What was received, and how far it is read."""

    def __init__(self, receive: Callable[[int], bytes]) -> None:
        self._receive = receive
        self._data = b""
        self._at = 0

    @property
    def is_done(self) -> bool:
        """Whether nothing is left: it would be taken for the answer to the next call."""
        return self._at == len(self._data)

    def head(self) -> tuple[int, int, dict[str, str]]:
        """The minor version, the status and the headers of the next answer, interim or not."""
        if self.is_done:
            self._more()
        if not _BEGINNING.startswith(self._data[self._at : self._at + len(_BEGINNING)]):
            raise Improper("not HTTP")  # without waiting for the end of a line
        end = self._end_of(_LINE_END)
        status = _STATUS.fullmatch(self._data, self._at, end)
        if status is None:
            raise Improper("no status line")
        self._at = end - 1  # where there is no header, the status line's end is that of the head
        return int(status[1]), int(status[2]), self._headers()

    def exactly(self, size: int) -> bytes:
        """The next bytes."""
        have = self._data[self._at : self._at + size]
        self._at += len(have)
        if len(have) == size:
            return have
        pieces, left = [have], size - len(have)
        while left:
            piece = self._receive(min(left, _PIECE))
            if not piece:
                raise CutOff
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    def rest(self, most: int) -> bytes:
        """All until the connection ends."""
        pieces = [self._data[self._at :]]
        self._at = len(self._data)
        left = most - len(pieces[0])
        while left >= 0 and (piece := self._receive(_PIECE)):
            pieces.append(piece)
            left -= len(piece)
        if left < 0:
            raise TooLarge
        return b"".join(pieces)

    def chunks(self, most: int) -> bytes:
        """The content of all chunks, and what follows the last one."""
        pieces: list[bytes] = []
        while True:
            end = self._end_of(_LINE_END)
            announced = _CHUNK.fullmatch(self._data, self._at, end)
            if announced is None:
                raise Improper("no size of a chunk")
            size = int(announced[1], 16)
            if size == 0:
                self._at = end - 1
                self._headers()  # trailers, which nobody here asks for
                return b"".join(pieces)
            most -= size
            if most < 0:
                raise TooLarge
            self._at = end
            pieces.append(self.exactly(size))
            if self.exactly(2) != b"\r\n":
                raise Improper("a chunk of another size")

    def _headers(self) -> dict[str, str]:
        """The headers between this end of a line and the next blank line."""
        end = self._end_of(_BLANK_LINE)
        lines = self._data[self._at + 1 : end]
        self._at = end
        lines = lines[: -2 if lines.endswith(b"\r\n") else -1]
        if b"\n " in lines or b"\n\t" in lines:
            lines = _FOLD.sub(b" ", lines)
        if not _HEADERS.fullmatch(lines) or lines.count(b"\n") > _MOST_HEADERS:
            raise Improper("lines that are no headers, or too many")
        headers: dict[str, str] = {}
        for line in lines.decode("latin-1").split("\n")[:-1]:
            name, _, value = line.partition(":")
            name, value = name.lower(), value.strip(" \t\r")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return headers

    def _end_of(self, pattern: re.Pattern[bytes]) -> int:
        """Where the first match of the pattern in what is not read yet ends."""
        while True:
            found = pattern.search(self._data, self._at)
            end = found.end() if found else len(self._data)
            if end - self._at > _MOST_HEAD:
                raise Improper("a line that is too long, or too many lines")
            if found:
                return end
            self._more()

    def _more(self) -> None:
        piece = self._receive(_PIECE)
        if not piece:
            raise CutOff
        self._data = self._data[self._at :] + piece
        self._at = 0
