"""How an answer is brought to the caller, well or badly."""

from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from socket import SO_LINGER, SOL_SOCKET, socket
from struct import pack
from typing import Literal

from shop.answer import Answer

Manner = Literal["plain", "truncated", "reset", "silent"]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer (none if only the connection is to end), and the manner in which it is sent."""

    answer: Answer | None
    manner: Manner = "plain"
    wait: float = 0
    headers: dict[str, str] = field(default_factory=dict)

    def send(self, handler: BaseHTTPRequestHandler, pause: Callable[[float], None]) -> None:
        """Send it; any manner but the plain one ends the connection."""
        if self.wait:
            pause(self.wait)
        if self.manner != "plain":
            handler.close_connection = True
        if self.manner == "reset":
            _reset(handler.connection)
        elif self.answer is not None:
            self._write(handler, self.answer)

    def _write(self, handler: BaseHTTPRequestHandler, answer: Answer) -> None:
        content = answer.text.encode()
        handler.send_response(answer.status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(content)))
        for name, value in self.headers.items():
            handler.send_header(name, value)
        if handler.close_connection:
            handler.send_header("Connection", "close")
        handler.end_headers()
        if self.manner == "truncated":
            content = content[: len(content) // 2]
        handler.wfile.write(content)
        handler.wfile.flush()  # wfile is buffered: head and body leave in one send


def _reset(connection: socket) -> None:
    connection.setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 0))
    connection.close()  # else the server would shut it down first, and send a FIN before the RST
