"""Sockets that keep to a deadline, in all that is done with them from the look-up of a name on."""

from __future__ import annotations

import select
import socket
import ssl
import time
from functools import cached_property
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any


def time_left(deadline: float) -> float:
    """Seconds until the deadline (monotonic). Raises TimeoutError if it has passed."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the call's total deadline passed")
    return left


class _Polled:
    """Mixed into a socket class: what both kinds do."""

    deadline = 0.0
    """By when all that is done with the socket has to be over (monotonic)."""

    @cached_property
    def incoming(self) -> select.poll:
        """Tells when there is something to receive."""
        return _poll(self, select.POLLIN)

    def is_quiet(self) -> bool:
        """Whether the other end has neither closed the connection nor said anything unasked."""
        return not self.incoming.poll(0)


class PlainSocket(_Polled, socket.socket):
    """A TCP socket, which is not blocking once it is connected.

    One with a time-out asks the system thrice for each operation: to set it, to wait, and to do it.
    """

    def receive(self, most: int) -> bytes:
        """Up to so many bytes; none once the other end has closed. Raises OSError."""
        while True:
            _wait(self.incoming, self.deadline)
            try:
                return self.recv(most)
            except BlockingIOError:
                pass

    def send_all(self, data: bytes) -> None:
        """Send it whole. Raises OSError."""
        time_left(self.deadline)
        sent = self._send(data)
        if sent == len(data):
            return
        left, writable = memoryview(data)[sent:], _poll(self, select.POLLOUT)
        while left:
            _wait(writable, self.deadline)
            left = left[self._send(left) :]

    def _send(self, data: bytes | memoryview) -> int:
        try:
            return self.send(data)
        except BlockingIOError:
            return 0


class TLSSocket(_Polled, ssl.SSLSocket):
    """A TLS socket; `tls_context` makes contexts that use it."""

    def arm(self) -> None:
        """Limit the next operation. Raises TimeoutError if no time is left for it."""
        self.settimeout(time_left(self.deadline))

    def receive(self, most: int) -> bytes:
        """Up to so many bytes; none once the other end has closed. Raises OSError."""
        self.arm()
        return self.recv(most)

    def send_all(self, data: bytes) -> None:
        """Send it whole. Raises OSError."""
        self.arm()
        self.sendall(data)


def _poll(sock: Any, event: int) -> select.poll:
    poll = select.poll()
    poll.register(sock, event)
    return poll


def _wait(poll: select.poll, deadline: float) -> None:
    """Wait for the event. Raises TimeoutError."""
    if not poll.poll(time_left(deadline) * 1000):
        raise TimeoutError("the call's total deadline passed")


def tls_context() -> ssl.SSLContext:
    """Verifies the server's certificate and name against the system's authorities."""
    context = ssl.create_default_context()
    context.sslsocket_class = TLSSocket
    return context


def connect(host: str, port: int, deadline: float) -> PlainSocket:
    """Connect to the first address that answers. Raises OSError."""
    addresses = _look_up(host, port, deadline)
    error = OSError(f"{host} has no address")
    for tried, (family, kind, proto, _, address) in enumerate(addresses):
        sock = PlainSocket(family, kind, proto)
        try:
            # Its share only, or one address that swallows packets would hide those after it.
            sock.settimeout(time_left(deadline) / (len(addresses) - tried))
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as failed:
            sock.close()
            error = failed
        else:
            sock.setblocking(False)
            sock.deadline = deadline
            return sock
    raise error


def shake_hands(context: ssl.SSLContext, plain: PlainSocket, host: str) -> TLSSocket:
    """TLS over the connection, by the same deadline. Raises OSError; closes it then."""
    deadline = plain.deadline
    sock = context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
    assert isinstance(sock, TLSSocket)
    try:
        sock.deadline = deadline
        sock.arm()
        sock.do_handshake()
    except BaseException:
        sock.close()
        raise
    return sock


def _look_up(host: str, port: int, deadline: float) -> list[Any]:
    """The host's addresses. The resolver knows no deadline: a thread of its own waits for it."""
    answer: SimpleQueue[list[Any] | Exception] = SimpleQueue()

    def ask() -> None:
        try:
            answer.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as error:
            answer.put(error)

    Thread(target=ask, name=f"look-up of {host}", daemon=True).start()
    try:
        found = answer.get(timeout=time_left(deadline))
    except Empty:
        raise TimeoutError(f"no address of {host} in time") from None
    if isinstance(found, Exception):
        raise found
    return found
