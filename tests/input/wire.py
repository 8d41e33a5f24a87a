"""Requests as bytes over a socket: a client library would mend or refuse what is wrong in them."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

SAGAS = "/api/v1/sagas"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the first answer, and the bytes behind it on the same connection."""

    status: int
    headers: dict[str, str]
    body: bytes
    rest: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def request(
    method: str = "POST",
    target: str | bytes = SAGAS,
    body: bytes = b"",
    *lines: bytes,
    content_type: bytes | None = b"application/json",
    length: bytes | None = None,
) -> bytes:
    """A request with these header lines beside the usual; `length` may be a lie."""
    start = method.encode() + b" " + (target.encode() if isinstance(target, str) else target)
    head = [start + b" HTTP/1.1", b"Host: 127.0.0.1", b"Connection: close"]
    if content_type is not None and (body or method == "POST"):
        head.append(b"Content-Type: " + content_type)
    if not any(line.lower().startswith((b"content-length", b"transfer-enc")) for line in lines):
        said = str(len(body)).encode() if length is None else length
        if body or length is not None or method == "POST":
            head.append(b"Content-Length: " + said)
    return b"\r\n".join([*head, *lines, b"", body])


def exchange(
    url: str, sent: bytes, *, half_close: bool = False, seconds: float = 20
) -> Answer | None:
    """Send the bytes and read until the server closes; None if it does so without an answer."""
    address = urlsplit(url)
    assert address.hostname is not None
    assert address.port is not None
    received = b""
    until = time.monotonic() + seconds
    with socket.create_connection((address.hostname, address.port), timeout=seconds) as wire:
        with suppress(ConnectionError):  # it may answer, and close, before it has read all
            wire.sendall(sent)
            if half_close:
                wire.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while chunk := wire.recv(65536):
                received += chunk
                assert time.monotonic() < until, "no end of the answer"
    return parse(received, head_only=sent.startswith(b"HEAD "))


def parse(received: bytes, *, head_only: bool = False) -> Answer | None:
    """The answer that the bytes begin with, past any 100 Continue."""
    while received.startswith(b"HTTP/1.1 100 "):
        received = received.partition(b"\r\n\r\n")[2]
    if not received:
        return None
    head, found, rest = received.partition(b"\r\n\r\n")
    assert found, received[:500]
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    body = b""
    if headers.get("transfer-encoding") == "chunked":
        while rest and not head_only:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size, 16)
            body, rest = body + rest[:length], rest[length + 2 :]
            if not length:
                break
    elif not head_only:
        length = int(headers.get("content-length", len(rest)))
        body, rest = rest[:length], rest[length:]
    return Answer(int(first.split()[1]), headers, body, rest)
