"""A real TCP server on loopback whose every connection follows a script."""

from __future__ import annotations

import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Self


class Stopped(Exception):
    """The server is closed, or the caller has gone."""


class Peer:
    """The server's side of one connection."""

    def __init__(self, connection: socket.socket, server: Server) -> None:
        self._connection = connection
        self._server = server
        self._received = b""

    def read(self) -> bytes:
        """Wait for one whole request; it is kept in `server.requests`."""
        while b"\r\n\r\n" not in self._received:
            self._receive()
        head, _, body = self._received.partition(b"\r\n\r\n")
        match = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        length = int(match[1]) if match else 0
        while len(body) < length:
            self._receive()
            body = self._received.partition(b"\r\n\r\n")[2]
        request = head + b"\r\n\r\n" + body[:length]
        self._received = self._received[len(request) :]
        self._server.requests.append(request)
        return request

    def sip(self, size: int) -> None:
        """Take a few bytes of whatever there is."""
        if not self._connection.recv(size):
            raise Stopped

    def send(self, data: bytes) -> None:
        try:
            self._connection.sendall(data)
        except OSError:
            raise Stopped from None

    def drip(self, data: bytes, pause: float = 0.05) -> None:
        """Send the bytes again and again, with a pause after each time."""
        while True:
            self.send(data)
            self.wait(pause)

    def wait(self, seconds: float = 60) -> None:
        if self._server.stopping.wait(seconds):
            raise Stopped

    def wait_for(self, event: threading.Event) -> None:
        """Wait until the test sets the event."""
        while not event.wait(0.01):
            self.wait(0)

    def reset(self) -> None:
        """End the connection with an RST."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.close()

    def _receive(self) -> None:
        try:
            data = self._connection.recv(65536)
        except OSError:
            raise Stopped from None
        if not data:
            raise Stopped
        self._received += data


Script = Callable[[Peer], object]


class Server:
    """Runs one script for each connection, in order; the last one for all that follow."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.stopping = threading.Event()
        self._scripts = scripts
        self._tls = tls
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def settle(self, count: int) -> list[bytes]:
        """The requests that arrived, once there are so many, and time for one more has passed."""
        until = time.monotonic() + 2
        while len(self.requests) < count and time.monotonic() < until:
            time.sleep(0.005)
        time.sleep(0.02)
        return self.requests

    def close(self) -> None:
        self.stopping.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            script = self._scripts[min(self.connections, len(self._scripts) - 1)]
            self.connections += 1
            self._open.add(connection)
            self._start(self._run, script, connection)

    def _run(self, script: Script, plain: socket.socket) -> None:
        connection = plain
        try:
            if self._tls:
                connection = self._tls.wrap_socket(plain, server_side=True)
                self._open.add(connection)
            script(Peer(connection, self))
        except (Stopped, OSError):
            pass
        finally:
            self._open.discard(plain)
            self._open.discard(connection)
            connection.close()


def http(
    status: int = 200, body: bytes = b"{}", headers: str = "", *, length: int | None = None
) -> bytes:
    """An answer; `length` may lie about its body."""
    length = len(body) if length is None else length
    head = f"HTTP/1.1 {status} Word\r\nContent-Length: {length}\r\n{headers}\r\n"
    return head.encode("latin-1") + body


def answers(*texts: bytes) -> Script:
    """Answer one request after the other on a connection; the last text to all that follow."""

    def script(peer: Peer) -> None:
        left = list(texts)
        while True:
            peer.read()
            peer.send(left[0])
            if len(left) > 1:
                left.pop(0)

    return script


def then_close(text: bytes) -> Script:
    """Read a request, send these bytes, and close."""

    def script(peer: Peer) -> None:
        peer.read()
        peer.send(text)

    return script


def silent(peer: Peer) -> None:
    """Read a request, and never answer."""
    peer.read()
    peer.wait()


def deaf(peer: Peer) -> None:
    """Read nothing and say nothing."""
    peer.wait()


def reset_at_once(peer: Peer) -> None:
    peer.reset()


def reset_after_reading(peer: Peer) -> None:
    peer.read()
    peer.reset()


def closed_port() -> int:
    """A port at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def black_hole() -> Iterator[int]:
    """A port that swallows all that tries to connect: its queue is full, and nobody accepts."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port: int = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        try:
            yield port
        finally:
            for filler in fillers:
                filler.close()
