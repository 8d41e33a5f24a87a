"""Sockets that keep to a deadline, in all that is done with them from the look-up of a name on."""

from __future__ import annotations

import socket
import ssl
import time
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any


def time_left(deadline: float) -> float:
    """Seconds until the deadline (monotonic). Raises TimeoutError if it has passed."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the call's total deadline passed")
    return left


class _Timed:
    """Mixed into a socket class: each operation is given what is left until the deadline."""

    deadline = 0.0

    def arm(self) -> None:
        """Limit the next operation. Raises TimeoutError if no time is left for it."""
        self.settimeout(time_left(self.deadline))  # type: ignore[attr-defined]

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.arm()
        return super().recv_into(*args, **kwargs)  # type: ignore[misc,no-any-return]

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self.arm()
        super().sendall(*args, **kwargs)  # type: ignore[misc]


class PlainSocket(_Timed, socket.socket):
    """A TCP socket."""


class TLSSocket(_Timed, ssl.SSLSocket):
    """A TLS socket; `tls_context` makes contexts that use it."""


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
