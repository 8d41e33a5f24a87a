"""What the tests of the transport send with, and servers that are too slow for them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from executors.answer_reader import Answer
from executors.transport import Connections, NotReached
from tests.executors.tcp import (
    Peer,
    Script,
    Server,
    http,
    silent,
)

TIMEOUT = 0.3
MAX_BODY = 10_000
OK = http(body=b'{"ok":true}')


def connections(url: str, keep: int = 4) -> Connections:
    return Connections(urlsplit(url), keep=keep, max_body=MAX_BODY)


def send(
    to: Connections | Server,
    *,
    timeout: float = 2,
    body: bytes = b"{}",
    headers: dict[str, str] | None = None,
    path: str = "/path",
) -> Answer:
    line = to if isinstance(to, Connections) else connections(to.url)
    return line.send("POST", path, body, headers or {}, deadline=time.monotonic() + timeout)


@contextmanager
def ends_by_the_deadline() -> Iterator[None]:
    started = time.monotonic()
    yield
    assert TIMEOUT - 0.05 < time.monotonic() - started < TIMEOUT + 0.5


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks) + end


def dripping(start: bytes, drop: bytes) -> Script:
    def script(peer: Peer) -> None:
        peer.read()
        peer.send(start)
        peer.drip(drop)

    return script


def not_reached(url: str, timeout: float = TIMEOUT) -> str:
    with pytest.raises(NotReached) as caught:
        send(connections(url), timeout=timeout)
    return str(caught.value)


SLOW: dict[str, Script] = {
    "silence": silent,
    "status line": dripping(b"HTTP/1.1 200 ", b"O"),
    "headers": dripping(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "one header": dripping(b"HTTP/1.1 200 OK\r\nX: ", b"y"),
    "body": dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", b" "),
    "body without length": dripping(b"HTTP/1.1 200 OK\r\n\r\n", b" "),
    "chunks": dripping(chunked(b"{", end=b""), b"1\r\n \r\n"),
    "chunk size": dripping(chunked(b"{", end=b""), b"0"),
    "trailers": dripping(chunked(b"{}", end=b"0\r\n"), b"X: y\r\n"),
    "interim answers": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "hints": dripping(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
}
