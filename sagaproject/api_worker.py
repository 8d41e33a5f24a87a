"""The gunicorn worker of the API: it answers all in JSON, and waits for no client for ever."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from http import HTTPStatus
from types import FrameType
from typing import Any

from django.conf import settings

from sagaproject.draining import DrainingWorker

_DETAILS = {
    400: "This is not proper HTTP.",
    414: "The address is too long.",
    417: "This expectation cannot be met.",
    431: "A header is too long, or there are too many.",
}


class ApiWorker(DrainingWorker):
    """Gunicorn's own, which answers requests in flight before it ends, and those soon."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._heads: dict[Any, float] = {}
        """Connections whose request's head is being read, and until when (monotonic)."""

    def finish(self, number: int, frame: FrameType | None) -> None:
        """Begin to end: clients with `Prefer: wait` get the saga as it is."""
        from sagas import services  # after the fork, and after Django's start

        services.stop_waiting()
        super().finish(number, frame)

    def handle(self, connection: Any) -> Any:
        """Serve the connection's next request, unless its head takes too long to arrive."""
        self._heads[connection] = time.monotonic() + settings.SAGA_CLIENT_TIMEOUT
        try:
            return super().handle(connection)
        finally:
            self._heads.pop(connection, None)

    def handle_request(self, request: Any, connection: Any) -> Any:
        """Answer a request whose head is there."""
        self._heads.pop(connection, None)
        return super().handle_request(request, connection)

    def murder_pending(self) -> None:
        """Every second: end the connections that are too slow, and free their threads."""
        super().murder_pending()
        now = time.monotonic()
        for connection, until in list(self._heads.items()):
            if until < now and self._heads.pop(connection, 0.0):
                with suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client: Any, address: Any, error: Exception) -> None:
        """Answer what is no HTTP, as gunicorn does, but with a problem document."""
        super().handle_error(request, _Problems(client), address, error)


class _Problems:
    """A client's socket on which gunicorn's pages become problem documents of their status."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def sendall(self, page: bytes) -> None:
        """Send what stands for the page."""
        status = HTTPStatus(int(page.split(b" ", 2)[1]))
        problem = {"type": "about:blank", "title": status.phrase, "status": status.value}
        body = json.dumps(problem | {"detail": _DETAILS.get(status, status.description)}).encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            "Connection: close\r\n"
            "Content-Type: application/problem+json\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._client.sendall(head.encode() + body)
