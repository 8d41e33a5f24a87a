"""The proxy of the tests: each of its faults, as the caller sees it and as the server does."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from http.client import HTTPConnection, RemoteDisconnected

import pytest

from tests.executors.sending import chunked
from tests.executors.tcp import Server, answers, http, then_close
from tests.proxy import Proxy

OK = http(body=b'{"ok":true}')


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(answers(OK)) as server:
        yield server


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy("127.0.0.1", server.port, seed=1) as proxy:
        yield proxy


@pytest.fixture
def line(proxy: Proxy) -> Iterator[HTTPConnection]:
    connection = HTTPConnection("127.0.0.1", proxy.port, timeout=0.5)
    yield connection
    connection.close()


def post(line: HTTPConnection, body: bytes = b"{}") -> bytes:
    line.request("POST", "/path", body)
    return line.getresponse().read()


def test_requests_and_answers_pass_as_they_are_on_one_connection(server, proxy, line):
    assert [post(line, b'{"n":%d}' % n) for n in range(3)] == [b'{"ok":true}'] * 3
    assert [request[-7:] for request in server.requests] == [b'{"n":0}', b'{"n":1}', b'{"n":2}']
    assert list(proxy.requests) == server.requests
    assert proxy.struck == {}


@pytest.mark.parametrize(
    "text",
    [
        chunked(b"ab", b"c"),
        chunked(b"abc", end=b"0\r\nX-Trailer: 1\r\n\r\n"),
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + http(body=b"abc"),
        b"HTTP/1.1 200 OK\r\n\r\nabc",
        http(204, b""),
    ],
)
def test_answers_of_every_framing_pass(text):
    with (
        Server(then_close(text)) as server,
        Proxy("127.0.0.1", server.port) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), timeout=0.5) as caller,
    ):
        caller.sendall(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
        received = b""
        while len(received) < len(text):
            received += caller.recv(65536)
        assert received == text


@pytest.mark.parametrize("name", ["reset_before", "reset_after"])
def test_resets(server, proxy, line, name):
    proxy.fault(name, times=1)
    with pytest.raises(ConnectionResetError) as caught:
        post(line)
    assert not isinstance(caught.value, RemoteDisconnected), "that was a FIN"
    assert len(server.requests) == (name == "reset_after")
    line.close()
    assert post(line) == b'{"ok":true}'
    assert proxy.struck == {name: 1}


def test_a_truncated_answer(server, proxy, line):
    proxy.fault("truncate", times=1)
    line.connect()
    line.sock.sendall(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
    received = b""
    while data := line.sock.recv(65536):
        received += data
    assert received == OK[: len(OK) // 2]


def test_a_half_open_connection_is_neither_answered_nor_closed(server, proxy, line):
    proxy.fault("half_open", times=1)
    with pytest.raises(TimeoutError):
        post(line)
    assert len(server.requests) == 1


def test_drops_come_one_by_one(server, proxy, line):
    proxy.fault("drip", seconds=0.002)
    began = time.monotonic()
    assert post(line) == b'{"ok":true}'
    assert time.monotonic() - began > 0.002 * len(OK)


def test_a_delayed_request_arrives_although_its_caller_has_gone(server, proxy, line):
    proxy.fault("delay", seconds=0.3)
    line.timeout = 0.1
    with pytest.raises(TimeoutError):
        post(line)
    line.close()
    assert server.requests == []
    assert len(server.settle(1)) == 1


def test_a_late_answer_comes_after_the_request_arrived(server, proxy, line):
    proxy.fault("late", seconds=0.3)
    line.timeout = 0.1
    with pytest.raises(TimeoutError):
        post(line)
    assert len(server.requests) == 1


def test_a_doubled_request_is_answered_once(server, proxy, line):
    proxy.fault("duplicate", times=1)
    assert [post(line, b"1"), post(line, b"2")] == [b'{"ok":true}'] * 2
    assert [request[-1:] for request in server.requests] == [b"1", b"1", b"2"]


def test_only_a_connection_that_was_idle_is_closed(server, proxy, line):
    proxy.fault("close_idle", times=1)
    assert post(line, b"1") == b'{"ok":true}'
    with pytest.raises(RemoteDisconnected):
        post(line, b"2")
    assert post(line, b"3") == b'{"ok":true}'
    assert [request[-1:] for request in server.requests] == [b"1", b"3"]
    assert proxy.struck == {"close_idle": 1}


def test_once_refusing_is_switched_on_or_off_it_holds_for_the_next_connection(proxy, line):
    for _ in range(20):
        proxy.fault("refuse")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", proxy.port))
        proxy.clear()
        assert post(line) == b'{"ok":true}'
        line.close()


@pytest.mark.parametrize("seconds", [None, 0.2])
def test_connections_are_refused_for_a_while(proxy, line, seconds):
    assert post(line)
    proxy.fault("refuse", seconds=seconds)
    with pytest.raises((ConnectionError, BrokenPipeError)):
        post(line)  # the one that was open
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", proxy.port))
    if seconds is None:
        proxy.clear()
    until = time.monotonic() + 5
    while time.monotonic() < until:
        line.close()
        try:
            assert post(line) == b'{"ok":true}'
            break
        except ConnectionRefusedError:
            time.sleep(0.02)
    assert proxy.struck == {"refuse": 1}


def test_a_fault_may_be_meant_for_some_requests_only(server, proxy, line):
    proxy.fault("reset_before", match=b'"n":2')
    post(line, b'{"n":1}')
    with pytest.raises(ConnectionResetError):
        post(line, b'{"n":2}')


def test_a_fault_may_strike_by_chance(server, proxy, line):
    proxy.fault("duplicate", probability=0.5)
    for _ in range(40):
        post(line)
    assert 8 < proxy.struck["duplicate"] < 32
    assert len(server.requests) == 40 + proxy.struck["duplicate"]
    proxy.clear()
    post(line)
    assert len(server.requests) == 41 + proxy.struck["duplicate"]


def test_a_server_that_is_away_is_a_broken_connection(line, server, proxy):
    server.close()
    with pytest.raises(ConnectionResetError):
        post(line)


def test_stopping_ends_what_is_under_way(server):
    proxy = Proxy("127.0.0.1", server.port).start()
    proxy.fault("delay", seconds=60)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as caller:
        caller.sendall(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
        time.sleep(0.05)
        proxy.stop()
        assert caller.recv(1) == b""
    assert server.requests == []


def test_a_misspelt_fault_is_refused(proxy):
    with pytest.raises(ValueError, match="is none of"):
        proxy.fault("resett")
