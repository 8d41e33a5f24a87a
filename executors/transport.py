"""HTTP with one deadline for the whole call: connect, send, and every byte of the answer.

urllib3's and requests' time-outs bound each read from the socket, so that a participant
that drips a byte now and then holds a caller for ever. Here each socket operation is given
what is left of the call's time.
"""

from __future__ import annotations

import socket
import ssl
import time
from contextvars import ContextVar
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util import Url
from urllib3.util.ssl_ import create_urllib3_context

_deadline: ContextVar[float] = ContextVar("deadline", default=float("inf"))


class AnswerTooLarge(Exception):
    """The participant's answer is larger than the limit."""


class _Deadline:
    """Mixed into a socket class: no operation outlasts the current call."""

    def _arm(self) -> None:
        left = _deadline.get() - time.monotonic()
        if left <= 0:
            raise TimeoutError("the call's total deadline passed")
        self.settimeout(min(left, 3600.0))  # type: ignore[attr-defined]

    def connect(self, address: Any) -> None:
        self._arm()
        super().connect(address)  # type: ignore[misc]

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self._arm()
        return super().recv_into(*args, **kwargs)  # type: ignore[misc,no-any-return]

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self._arm()
        super().sendall(*args, **kwargs)  # type: ignore[misc]


class _Socket(_Deadline, socket.socket):
    pass


class _SSLSocket(_Deadline, ssl.SSLSocket):
    pass


def _connect(host: str, port: int) -> socket.socket:
    """Connect to the first address that answers, all of them within the call's deadline."""
    error: OSError = OSError(f"{host} has no address")
    for family, kind, proto, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = _Socket(family, kind, proto)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect(address)
        except OSError as failed:
            sock.close()
            error = failed
        else:
            return sock
    raise error


class _Connects(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        try:
            return _connect(self._dns_host, self.port)
        except TimeoutError as error:
            raise ConnectTimeoutError(self, str(error)) from error
        except OSError as error:
            raise NewConnectionError(self, str(error)) from error


class _Connection(_Connects):
    pass


class _SSLConnection(_Connects, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SSLPool(HTTPSConnectionPool):
    ConnectionCls = _SSLConnection


def pool_for(url: Url, size: int) -> HTTPConnectionPool:
    """Keep-alive connections to the service at `url`, at most `size` kept open."""
    assert url.host is not None
    if url.scheme == "https":
        context = create_urllib3_context()
        context.load_default_certs()
        context.sslsocket_class = _SSLSocket
        return _SSLPool(url.host, url.port, maxsize=size, ssl_context=context)
    return _Pool(url.host, url.port, maxsize=size)


def send(
    pool: HTTPConnectionPool,
    method: str,
    path: str,
    body: bytes,
    headers: dict[str, str],
    *,
    deadline: float,
    max_body: int,
) -> tuple[int, dict[str, str], bytes]:
    """One call, sent at most once, done before `deadline` (monotonic); redirects are answers.

    Returns the status, the headers in lower case, and the body. Raises urllib3's HTTPError,
    OSError, or AnswerTooLarge when the body has more than `max_body` bytes.
    """
    token = _deadline.set(deadline)
    try:
        # An encoded body is never asked for: a few bytes of it could become gigabytes.
        answer = pool.urlopen(
            method,
            path,
            body,
            headers | {"Accept": "application/json", "Accept-Encoding": "identity"},
            retries=False,
            redirect=False,
            preload_content=False,
            decode_content=False,
            timeout=max(deadline - time.monotonic(), 0.001),
        )
        try:
            content = answer.read(max_body + 1)
        except BaseException:
            answer.close()
            raise
        if len(content) > max_body:
            answer.close()
            raise AnswerTooLarge(f"the answer is larger than {max_body} bytes")
        answer.release_conn()
        return answer.status, {k.lower(): v for k, v in answer.headers.items()}, content
    finally:
        _deadline.reset(token)
