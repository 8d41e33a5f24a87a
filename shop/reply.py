"""How an answer is brought to the caller, well or badly."""

import gzip
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from itertools import repeat
from socket import SO_LINGER, SOL_SOCKET, socket
from struct import pack
from typing import Literal

from shop.answer import Answer

Manner = Literal["plain", "interim", "truncated", "drip", "oversized", "bomb", "reset", "silent"]

_BODILESS = 204
_MEGABYTE = 1024 * 1024
_OVERSIZE = 64
"""Megabytes of spaces that follow an oversized answer, or come out of a bomb."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer (none if only the connection is to end), and the manner in which it is sent."""

    answer: Answer | None
    manner: Manner = "plain"
    wait: float = 0
    """Seconds before it is sent; between its bytes, if it drips."""

    headers: dict[str, str] = field(default_factory=dict)

    def send(self, handler: BaseHTTPRequestHandler, pause: Callable[[float], None]) -> None:
        """Send it; a manner that breaks the answer ends the connection."""
        if self.wait and self.manner != "drip":
            pause(self.wait)
        if self.manner not in ("plain", "interim"):
            handler.close_connection = True
        if self.manner == "reset":
            _reset(handler.connection)
        elif self.answer is not None:
            self._write(handler, self.answer, pause)

    def _write(
        self, handler: BaseHTTPRequestHandler, answer: Answer, pause: Callable[[float], None]
    ) -> None:
        if self.manner == "interim":
            handler.send_response_only(103)
            handler.end_headers()
        content = answer.text.encode()
        if self.manner == "bomb":
            content = _bomb(content)
        handler.send_response(answer.status)
        handler.send_header("Content-Type", "application/json")
        if self.manner == "bomb":
            handler.send_header("Content-Encoding", "gzip")
        if answer.status != _BODILESS and self.manner != "oversized":
            handler.send_header("Content-Length", str(len(content)))
        for name, value in self.headers.items():
            handler.send_header(name, value)
        if handler.close_connection:
            handler.send_header("Connection", "close")
        handler.end_headers()
        for piece in self._pieces(content):
            handler.wfile.write(piece)
            if self.manner == "drip":
                handler.wfile.flush()
                pause(self.wait)
        handler.wfile.flush()  # wfile is buffered: head and body leave in one send

    def _pieces(self, content: bytes) -> Iterable[bytes]:
        """The body as it is written, piece by piece."""
        match self.manner:
            case "truncated":
                yield content[: len(content) // 2]
            case "drip":
                yield from (bytes([byte]) for byte in content)
            case "oversized":
                yield content
                yield from repeat(b" " * _MEGABYTE, _OVERSIZE)
            case _:
                yield content


def _bomb(content: bytes) -> bytes:
    """The content and megabytes after it, compressed: they are valid JSON all the same."""
    return gzip.compress(content) + gzip.compress(b" " * _MEGABYTE) * _OVERSIZE


def _reset(connection: socket) -> None:
    connection.setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 0))
    connection.close()  # else the server would shut it down first, and send a FIN before the RST
