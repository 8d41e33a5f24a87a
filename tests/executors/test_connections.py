"""Connections that are kept for the next call, and those that had better not be."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from executors import transport
from executors.transport import NoAnswer
from tests.executors.sending import (
    OK,
    chunked,
    connections,
    send,
)
from tests.executors.tcp import (
    Peer,
    Server,
    answers,
    http,
    silent,
    then_close,
)


def test_a_connection_is_used_again():
    with Server(answers(http(body=b"1"), http(404, b"2"), chunked(b"3"), OK)) as server:
        line = connections(server.url)
        assert [send(line).body for _ in range(4)] == [b"1", b"2", b"3", b'{"ok":true}']
        assert server.connections == 1


@pytest.mark.parametrize(
    "text",
    [
        http(headers="Connection: close\r\n"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n\r\n{}",
    ],
)
def test_a_connection_that_the_server_means_to_close_is_not_used_again(text):
    with Server(then_close(text)) as server:
        line = connections(server.url)
        assert [send(line).body for _ in range(3)] == [b"{}"] * 3
        assert server.connections == 3


def test_a_connection_that_the_server_closed_meanwhile_is_replaced():
    with Server(then_close(OK)) as server:
        line = connections(server.url)
        for _ in range(3):
            assert send(line).status == 200
            time.sleep(0.05)
        assert server.connections == 3
        assert len(server.requests) == 3


def test_a_server_that_closes_while_the_next_call_is_under_way_leaves_it_in_doubt():
    def one_and_a_half(peer: Peer) -> None:
        peer.read()
        peer.send(OK)
        peer.read()

    with Server(one_and_a_half, answers(OK)) as server:
        line = connections(server.url)
        send(line)
        with pytest.raises(NoAnswer, match="broke the connection"):
            send(line)
        assert len(server.settle(2)) == 2
        assert send(line).status == 200
        assert server.connections == 2


def test_a_connection_on_which_the_server_said_more_than_it_was_asked_is_replaced():
    with Server(answers(OK + http(body=b'{"of":"nobody"}'))) as server:
        line = connections(server.url)
        for _ in range(3):
            assert send(line).body == b'{"ok":true}'
            time.sleep(0.02)


@pytest.mark.parametrize("statuses", [(100,), (102,), (103, 103, 100, 199)])
def test_interim_answers_are_passed_over_and_the_connection_is_used_again(statuses):
    hints = b"".join(b"HTTP/1.1 %d Word\r\nLink: </a>\r\n\r\n" % status for status in statuses)
    with Server(answers(hints + http(body=b"1"), hints + http(402, b"2"))) as server:
        line = connections(server.url)
        assert [(a.status, a.body) for a in (send(line), send(line))] == [(200, b"1"), (402, b"2")]
        assert server.connections == 1


def test_what_follows_a_change_of_protocol_is_not_taken_for_the_next_call_s():
    def switches(peer: Peer) -> None:
        peer.read()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\n\r\n")
        peer.read()
        peer.send(http(body=b'{"of":"the first"}'))

    with Server(switches, answers(OK)) as server:
        line = connections(server.url)
        assert send(line).status == 101
        assert send(line).body == b'{"ok":true}'


@pytest.mark.parametrize(
    ("first", "calls"),
    [(silent, "late"), (then_close(http(length=99)), "cut"), (then_close(b"x"), "bad")],
)
def test_a_connection_is_not_used_after_a_failure(first, calls):
    with Server(first, answers(OK)) as server:
        line = connections(server.url)
        with pytest.raises(NoAnswer):
            send(line, timeout=0.1)
        assert send(line).body == b'{"ok":true}', calls
        assert server.connections == 2


def test_a_connection_that_was_idle_for_long_is_not_trusted(monkeypatch):
    monkeypatch.setattr(transport, "_LONGEST_IDLE", 0.05)
    with Server(answers(OK)) as server:
        line = connections(server.url)
        send(line)
        time.sleep(0.06)
        send(line)
        assert server.connections == 2


def test_many_threads_get_their_own_answers_over_few_connections():
    def echo(peer: Peer) -> None:
        while True:
            peer.send(http(body=peer.read().partition(b"\r\n\r\n")[2]))

    with Server(echo) as server, ThreadPoolExecutor(8) as pool:
        line = connections(server.url, keep=8)
        bodies = [b'"%d"' % n for n in range(200)]
        found = list(pool.map(lambda body: send(line, body=body).body, bodies))
        assert found == bodies
        assert server.connections <= 8


def test_connections_over_the_number_to_keep_are_closed():
    with Server(answers(OK)) as server, ThreadPoolExecutor(6) as pool:
        line = connections(server.url, keep=2)
        list(pool.map(lambda _: send(line), range(60)))
        assert len(line._idle) <= 2
