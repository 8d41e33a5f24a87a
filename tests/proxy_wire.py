"""Where HTTP messages end on a connection: all of HTTP that the proxy needs to know."""

from __future__ import annotations

import re
import socket

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_CHUNKED = re.compile(rb"(?i)\r\ntransfer-encoding: *chunked")
_CLOSE = re.compile(rb"(?i)\r\nconnection: *close")
_BODILESS = (b"204", b"304")


class Broken(Exception):
    """The connection ended where no message does."""


class Wire:
    """One side of a connection, message by message, each with the bytes as they came."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = b""

    def request(self) -> bytes:
        """The next request. Raises Broken or OSError."""
        self._need_head()
        self._need_body()
        return self._take()

    def answer(self) -> tuple[bytes, bool]:
        """The answer, or what came of it, and whether the connection may go on after it."""
        before = b""
        try:
            self._need_head()
            while self._received.split(b" ", 2)[1].startswith(b"1"):  # an interim answer
                before += self._take()
                self._need_head()
            if self._received.split(b" ", 2)[1] in _BODILESS:
                self._whole = self._head_size
            else:
                self._need_body(until_end=True)
        except (Broken, ConnectionError, IndexError):
            return before + self._received, False
        head = self._received[: self._head_size]
        goes_on = bool(_LENGTH.search(head) or _CHUNKED.search(head) or b" 204" in head[:13])
        return before + self._take(), goes_on and not _CLOSE.search(head)

    def _need_head(self) -> None:
        while b"\r\n\r\n" not in self._received:
            self._receive()
        self._head_size = self._received.index(b"\r\n\r\n") + 4
        self._whole = self._head_size

    def _need_body(self, *, until_end: bool = False) -> None:
        head = self._received[: self._head_size]
        if length := _LENGTH.search(head):
            self._need(self._head_size + int(length[1]))
            self._whole = self._head_size + int(length[1])
        elif _CHUNKED.search(head):
            self._need_chunks()
        elif until_end:
            self._need_the_rest()

    def _need_chunks(self) -> None:
        place = self._head_size
        while True:
            line = self._line(place)
            size = int(line.split(b";")[0], 16)
            place += len(line) + 2
            if size == 0:
                break
            place += size + 2
            self._need(place)
        while line := self._line(place):  # trailers
            place += len(line) + 2
        self._whole = place + 2

    def _need_the_rest(self) -> None:
        while data := self._connection.recv(65536):
            self._received += data
        self._whole = len(self._received)

    def _line(self, start: int) -> bytes:
        while (end := self._received.find(b"\r\n", start)) < 0:
            self._receive()
        return self._received[start:end]

    def _need(self, size: int) -> None:
        while len(self._received) < size:
            self._receive()

    def _take(self) -> bytes:
        message, self._received = self._received[: self._whole], self._received[self._whole :]
        return message

    def _receive(self) -> None:
        data = self._connection.recv(65536)
        if not data:
            raise Broken
        self._received += data
