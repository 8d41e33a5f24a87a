"""The server of one participant: a thread for each connection."""

import sys
import threading
from contextlib import suppress
from http.server import ThreadingHTTPServer
from socket import SHUT_RDWR, socket
from socketserver import TCPServer
from typing import Any

from shop.handler import Handler
from shop.participant import Participant

_PATIENCE = 5  # seconds for calls in flight, once their connections are shut


class ParticipantServer(ThreadingHTTPServer):
    """Serves one participant from `start` to `stop`."""

    daemon_threads = True
    request_queue_size = 128
    allow_reuse_port = False  # a port in use must be an error, not a port shared

    def __init__(self, participant: Participant, host: str, port: int) -> None:
        self.participant = participant
        self._stopping = threading.Event()
        self._connections: set[socket] = set()
        self._changed = threading.Condition()
        self._accepting = threading.Thread(target=self.serve_forever, daemon=True)
        super().__init__((host, port), Handler)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"

    def start(self) -> None:
        """Take connections from now on."""
        self._accepting.start()

    def stop(self) -> None:
        """Take no more, end those that there are, and wait until their calls are over."""
        self._stopping.set()
        _shut(self.socket)  # wakes serve_forever, which else looks up twice a second only
        self.shutdown()
        self._accepting.join()
        self.server_close()
        with self._changed:
            for connection in self._connections:
                _shut(connection)
            self._changed.wait_for(lambda: not self._connections, _PATIENCE)

    def pause(self, seconds: float) -> None:
        """Sleep; if the server stops meanwhile, the call is dropped."""
        if self._stopping.wait(seconds):
            raise ConnectionAbortedError("the server stops")

    def server_bind(self) -> None:
        """Bind without the name look-up of HTTPServer, which can take seconds."""
        TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, so that `stop` can end it, and give it a thread."""
        with self._changed:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection that came to its end."""
        super().shutdown_request(request)
        with self._changed:
            self._connections.discard(request)
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report a bug, but not a caller that went away."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _shut(connection: socket) -> None:
    with suppress(OSError):  # its other end may have been faster
        connection.shutdown(SHUT_RDWR)
