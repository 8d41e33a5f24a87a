"""A light HTTP client of asyncio: kept connections, and answers that have a Content-Length."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.usable = True
        self._received = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    async def request(self, message: bytes) -> tuple[int, bytes]:
        """The answer's status and body. Raises ConnectionError if none comes."""
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(message)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0 or self._answer is None:
            return
        head = self._received[:end]
        length = _LENGTH.search(head)
        if length is None:
            self._answer.set_exception(ValueError(f"an answer without Content-Length: {head!r}"))
            self.transport.close()
            return
        whole = end + 4 + int(length[1])
        if len(self._received) < whole:
            return
        body, self._received = self._received[end + 4 : whole], self._received[whole:]
        if b"\r\nconnection: close" in head.lower():
            self.usable = False
            self.transport.close()
        answer, self._answer = self._answer, None
        if not answer.done():
            answer.set_result((int(head[9:12]), body))

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError("the server closed the connection"))


class Client:
    """A service on a port of this machine; as many connections as there are requests at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[_Connection] = []

    async def request(
        self, method: str, target: str, content: Any = None, headers: str = ""
    ) -> tuple[int, bytes]:
        """Status and body; a kept connection that was closed meanwhile is replaced, once."""
        body = b"" if content is None else json.dumps(content).encode()
        head = (
            f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        )
        message = head.encode() + body
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                try:
                    return await self._ask(connection, message)
                except ConnectionError:
                    break
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, "127.0.0.1", self._port)
        return await self._ask(connection, message)

    async def _ask(self, connection: _Connection, message: bytes) -> tuple[int, bytes]:
        answer = await connection.request(message)
        if connection.usable:
            self._idle.append(connection)
        return answer

    def close(self) -> None:
        """Close all connections."""
        for connection in self._idle:
            connection.transport.close()
        self._idle.clear()
