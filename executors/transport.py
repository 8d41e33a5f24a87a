"""HTTP with one deadline for the whole call: look-up, connect, TLS, send, and the whole answer.

The time-outs of HTTP libraries bound each read from the socket, so that a participant that
drips a byte now and then holds a caller for ever; and the libraries repeat, follow redirects,
decompress and look for proxies. Here none of that is done, and each operation of the socket is
given what is left of the call's time.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
import weakref
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import SplitResult

from executors import sockets
from executors.answer_reader import Answer, CutOff, Improper, TooLarge, read

_LONGEST_IDLE = 4.0
"""Seconds without a call after which a connection is not used again: many servers close it
after five, and one that does so while a call is under way leaves that call in doubt."""


_UNSAFE_IN_LINE = re.compile(r"[^\x21-\x7e]")
_UNSAFE_IN_HEADER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class NotReached(Exception):
    """No connection was established: the participant has seen nothing of the call."""


class NoAnswer(Exception):
    """The call may have arrived, but no whole answer to it came back."""


class _Connection:
    """A keep-alive connection: opened once, and used for one call after another."""

    def __init__(self, sock: sockets.PlainSocket | sockets.TLSSocket) -> None:
        self.sock = sock
        self.close = sock.close

    def call(self, method: str, head: bytes, body: bytes, max_body: int) -> tuple[Answer, bool]:
        """Send the call and read its answer, and whether the connection may serve another."""
        with suppress(BrokenPipeError, ConnectionResetError):
            # A server may answer, and close, before it has heard all: the answer counts.
            self.sock.send_all(head + body)  # together: one packet, where they fit
        return read(self.sock.receive, method, max_body)


class Connections:
    """Calls the service at one address, over at most `keep` idle connections."""

    def __init__(self, url: SplitResult, *, keep: int, max_body: int) -> None:
        assert url.hostname is not None
        self._host = url.hostname
        self._tls = sockets.tls_context() if url.scheme == "https" else None
        self._port = url.port or (443 if self._tls else 80)
        host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
        usual = 443 if self._tls else 80
        authority = host if self._port == usual else f"{host}:{self._port}"
        self._own = f"Host: {authority}\r\nAccept-Encoding: identity\r\nContent-Length: "
        self._keep = keep
        self._max_body = max_body
        self._idle: deque[tuple[_Connection, float]] = deque()
        weakref.finalize(self, _close_all, self._idle)

    def send(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], *, deadline: float
    ) -> Answer:
        """One call, sent at most once and done before `deadline` (monotonic).

        Raises NotReached or NoAnswer, each with a reason that follows the participant's name.
        """
        started = time.monotonic()
        head = self._head(method, path, headers, len(body))
        connection = self._idle_one()
        if connection is None:
            try:
                connection = _Connection(self._open(deadline))
            except (OSError, UnicodeError) as error:
                raise NotReached(_why_not_reached(error, deadline - started)) from error
        try:
            connection.sock.deadline = deadline
            answer, reusable = connection.call(method, head, body, self._max_body)
        except (OSError, Improper, CutOff, TooLarge) as error:
            connection.close()
            raise NoAnswer(_why_no_answer(error, deadline - started)) from error
        except BaseException:
            connection.close()
            raise
        if reusable and len(self._idle) < self._keep:
            self._idle.append((connection, time.monotonic()))
        else:
            connection.close()
        return answer

    def _head(self, method: str, path: str, headers: Mapping[str, str], length: int) -> bytes:
        """Raises ValueError for what would end a line too early."""
        if _UNSAFE_IN_LINE.search(method + path):
            raise ValueError("the request line has a character that it may not have")
        given = [f"{name}: {value}" for name, value in headers.items()]
        told = "".join(given)
        is_plain = told.isascii() and told.isprintable()  # asked first, as that is much cheaper
        if not is_plain and _UNSAFE_IN_HEADER.search(told):
            raise ValueError("a header has a character that it may not have")
        own = f"{method} {path} HTTP/1.1\r\n{self._own}{length}"
        return "\r\n".join([own, *given, "\r\n"]).encode("latin-1")

    def _open(self, deadline: float) -> sockets.PlainSocket | sockets.TLSSocket:
        """Connect, and shake hands where there is TLS. Raises OSError."""
        plain = sockets.connect(self._host, self._port, deadline)
        if self._tls is None:
            return plain
        return sockets.shake_hands(self._tls, plain, self._host)

    def _idle_one(self) -> _Connection | None:
        oldest = time.monotonic() - _LONGEST_IDLE
        while True:
            try:
                connection, since = self._idle.pop()
            except IndexError:
                return None
            if since > oldest and connection.sock.is_quiet():
                return connection
            connection.close()


def _close_all(idle: deque[tuple[_Connection, float]]) -> None:
    while idle:
        idle.pop()[0].close()


def _why_not_reached(error: Exception, seconds: float) -> str:
    match error:
        case TimeoutError():
            return f"was not reached: no connection within {_shown(seconds)}"
        case socket.gaierror() | UnicodeError():
            return "was not reached: its host name is not known"
        case ssl.SSLCertVerificationError():
            return f"was not reached: its certificate is not valid: {error.verify_message}"
        case ssl.SSLError():
            return "was not reached: no TLS connection came about"
        case OSError(strerror=str(reason)):
            return f"was not reached: {reason.lower()}"
    return "was not reached"


def _why_no_answer(error: Exception, seconds: float) -> str:
    match error:
        case TimeoutError():
            return f"did not answer within {_shown(seconds)}"
        case TooLarge():
            return "gave an answer that is larger than the limit"
        case OSError() | CutOff():
            return "broke the connection before its answer was whole"
    return "did not answer in proper HTTP"


def _shown(seconds: float) -> str:
    return f"{round(max(seconds, 0), 1):g} s"
