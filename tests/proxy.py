"""A TCP proxy in front of a real server, with the faults of a network:

with Proxy("127.0.0.1", port) as proxy:      # or Proxy(…).start() and .stop()
    proxy.fault("reset_after", times=3)      # the next three requests
    proxy.fault("drip", probability=0.1)     # every tenth of the others
    …                                        # calls to proxy.url
    assert proxy.struck["reset_after"] == 3

It speaks just enough HTTP to know where a request and its answer end. Both pass through as they
are, and each request on a connection of its own, so that what the server does on one connection
never comes back on another.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from collections import Counter, deque
from contextlib import suppress
from typing import Self

from tests.proxy_faults import Switch, Switches
from tests.proxy_wire import Broken, Wire


class Proxy:
    """Passes requests on to one server, through the faults that are switched on."""

    def __init__(self, host: str, port: int, *, seed: int | None = None) -> None:
        self.struck: Counter[str] = Counter()
        """How often each fault struck."""

        self.requests: deque[bytes] = deque(maxlen=10_000)
        """Requests as they came, those that were not passed on included."""

        self._to = (host, port)
        self._switches = Switches(self.struck, seed)
        self._stopping = threading.Event()
        self._refusing = threading.Event()
        self._is_closed = False
        self._refuse_until: float | None = None
        self._open: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._listener = _bound(0)
        self.port: int = self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Take connections from now on."""
        self._listener.listen(128)
        self._run(self._accept)
        return self

    def stop(self) -> None:
        """End all connections and threads; again is no error."""
        self._stopping.set()
        self._end_connections()
        for thread in list(self._threads):
            thread.join(10)
        self._listener.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def fault(
        self,
        name: str,
        *,
        times: int | None = None,
        probability: float = 1.0,
        seconds: float | None = None,
        match: bytes = b"",
    ) -> None:
        """Have the fault strike `times` requests, or all, that contain `match`, with this chance.

        Of several switches the oldest that strikes is the one that does; one strikes a request.
        """
        if name == "refuse":
            self._refuse(seconds)
        else:
            seconds = 1.0 if seconds is None else seconds
            self._switches.add(Switch(name, times, probability, seconds, match))

    def clear(self) -> None:
        """Switch all faults off; `struck` stays, and so does what struck already."""
        self._switches.clear()
        self._refusing.clear()
        self._wait_until(closed=False)

    # --- Connections --------------------------------------------------------------------------

    def _refuse(self, seconds: float | None) -> None:
        self._switches.count("refuse")
        self._refuse_until = None if seconds is None else time.monotonic() + seconds
        self._refusing.set()
        self._wait_until(closed=True)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            if self._refusing.is_set():
                self._closed_for_a_while()
            elif select.select([self._listener], [], [], 0.01)[0]:
                caller, _ = self._listener.accept()
                self._open.add(caller)
                self._run(self._serve, caller)

    def _closed_for_a_while(self) -> None:
        # The port stays bound, so that nobody else gets it, but a socket that does not listen
        # refuses connections.
        self._listener.close()
        self._listener = _bound(self.port)
        self._end_connections()
        self._is_closed = True
        while self._refusing.is_set() and not self._stopping.is_set():
            if self._refuse_until is not None and time.monotonic() >= self._refuse_until:
                self._refusing.clear()
            self._stopping.wait(0.005)
        self._listener.listen(128)
        self._is_closed = False

    def _wait_until(self, *, closed: bool) -> None:
        """So that it is certain what becomes of the next connection."""
        while self._is_closed is not closed and self._refusing.is_set() is closed:
            if self._stopping.wait(0.002):
                return

    def _end_connections(self) -> None:
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _run(self, target: object, *arguments: object) -> None:
        def run() -> None:
            try:
                target(*arguments)  # type: ignore[operator]
            finally:
                self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=run, daemon=True)
        self._threads.add(thread)
        thread.start()

    # --- Requests -----------------------------------------------------------------------------

    def _serve(self, caller: socket.socket) -> None:
        wire, served = Wire(caller), 0
        try:
            while not self._stopping.is_set():
                request = wire.request()
                self.requests.append(request)
                switch = self._switches.strike(request, is_first=served == 0)
                if not self._pass_on(caller, request, switch):
                    return
                served += 1
        except (Broken, OSError):
            pass
        finally:
            self._open.discard(caller)
            caller.close()

    def _pass_on(self, caller: socket.socket, request: bytes, switch: Switch | None) -> bool:
        """Serve one request; whether the caller's connection may go on."""
        fault = switch.name if switch else ""
        seconds = switch.seconds if switch else 0.0
        if fault == "delay" and self._stopping.wait(seconds):
            return False
        if fault == "reset_before":
            _reset(caller)
        if fault in ("reset_before", "close_idle"):
            return False
        answer, goes_on = self._ask(request)
        if fault == "duplicate":
            self._ask(request)
        if fault == "late":
            self._stopping.wait(seconds)
        return self._answer(caller, fault, seconds, answer) and goes_on

    def _answer(self, caller: socket.socket, fault: str, seconds: float, answer: bytes) -> bool:
        """Give the caller its answer, more or less; whether its connection may go on."""
        match fault:
            case "half_open":
                while not self._stopping.is_set():
                    if select.select([caller], [], [], 0.02)[0] and not caller.recv(65536):
                        break
            case "reset_after":
                _reset(caller)
            case "truncate":
                caller.sendall(answer[: len(answer) // 2])
            case "drip":
                for place in range(len(answer)):
                    caller.sendall(answer[place : place + 1])
                    if self._stopping.wait(seconds):
                        break
                return True
            case _:
                if not answer:  # the server itself broke the connection
                    _reset(caller)
                    return False
                caller.sendall(answer)
                return True
        return False

    def _ask(self, request: bytes) -> tuple[bytes, bool]:
        """The server's answer, as much of it as came, and whether it is whole and not its last."""
        try:
            server = socket.create_connection(self._to, timeout=5)
        except OSError:
            return b"", False
        with server:
            server.settimeout(60)
            self._open.add(server)
            try:
                server.sendall(request)
                return Wire(server).answer()
            except OSError:
                return b"", False
            finally:
                self._open.discard(server)


def _bound(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    return listener


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
