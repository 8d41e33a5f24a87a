"""The ports on which the demo listens."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from sagas.demo.stop import DemoError

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Port:
    """A port, whose it is, and how a person chooses another."""

    owner: str
    number: int
    option: str
    variable: str

    def __str__(self) -> str:
        return (
            f"port {self.number} of {self.owner} (choose another with {self.option} "
            f"or {self.variable})"
        )


def require_free(ports: Sequence[Port]) -> None:
    """Raises DemoError with all that cannot be listened on, in one line; 0 is any free port."""
    numbers = [port.number for port in ports if port.number]
    problems = []
    for port in ports:
        why = "is needed twice" if numbers.count(port.number) > 1 else _obstacle(port.number)
        if why:
            problems.append(f"{port} {why}")
    if problems:
        raise DemoError("; ".join(problems))


def _obstacle(number: int) -> str:
    with socket.socket() as probe:
        # As servers do it: a connection that lingers after its end is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, number))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return "is in use"
            return f"cannot be used: {os.strerror(error.errno or 0)}"
    return ""
