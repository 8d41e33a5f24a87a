"""The socket that never waits but by its deadline."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from threading import Thread

import pytest

from executors.sockets import PlainSocket


@pytest.fixture
def pair() -> Iterator[tuple[PlainSocket, socket.socket]]:
    ours, theirs = socket.socketpair()
    plain = PlainSocket(fileno=ours.detach())
    plain.setblocking(False)
    plain.deadline = time.monotonic() + 5
    with plain, theirs:
        yield plain, theirs


def test_what_does_not_fit_at_once_arrives_whole_and_in_order(pair):
    plain, theirs = pair
    data = bytes(range(251)) * 20_000
    received = bytearray()

    def reads() -> None:
        while len(received) < len(data):
            received.extend(theirs.recv(2**20))

    reader = Thread(target=reads)
    reader.start()
    plain.send_all(data)
    reader.join(5)
    assert received == data


def test_it_is_quiet_until_something_is_said(pair):
    plain, theirs = pair
    assert plain.is_quiet()
    theirs.sendall(b"x")
    assert not plain.is_quiet()
    assert plain.receive(10) == b"x"
    assert plain.is_quiet()
    theirs.close()
    assert not plain.is_quiet()
    assert plain.receive(10) == b""


def test_nothing_is_done_after_the_deadline(pair):
    plain, theirs = pair
    theirs.sendall(b"x")
    plain.deadline = time.monotonic()
    with pytest.raises(TimeoutError):
        plain.receive(10)
    with pytest.raises(TimeoutError):
        plain.send_all(b"y")
    theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        theirs.recv(10)


def test_it_waits_no_longer_than_the_deadline(pair):
    plain, _ = pair
    plain.deadline = time.monotonic() + 0.02
    with pytest.raises(TimeoutError):
        plain.receive(10)
    plain.deadline = time.monotonic() + 0.02
    with pytest.raises(TimeoutError):
        plain.send_all(b"y" * 10**7)
