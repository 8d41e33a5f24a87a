"""The transport: whole answers, and participants that are not reached."""

from __future__ import annotations

import gzip
import socket
import time

import pytest

from executors.transport import NoAnswer, NotReached
from tests.executors.sending import (
    MAX_BODY,
    OK,
    TIMEOUT,
    chunked,
    connections,
    ends_by_the_deadline,
    not_reached,
    send,
)
from tests.executors.tcp import (
    Peer,
    Server,
    answers,
    black_hole,
    closed_port,
    deaf,
    http,
    then_close,
)


def test_an_answer_comes_with_status_headers_in_lower_case_and_body():
    with Server(answers(http(201, b'{"a":1}', "X-One: 1\r\nContent-Type: a/b\r\n"))) as server:
        answer = send(server)
    assert (answer.status, answer.body) == (201, b'{"a":1}')
    assert answer.headers["x-one"] == "1"
    assert answer.headers["content-type"] == "a/b"


def test_the_request_arrives_as_it_was_given():
    with Server(answers(OK)) as server:
        send(server, body=b'{"b":1,"a":2}', headers={"Idempotency-Key": "k"}, path="/a%20b?c=d")
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
    first, *headers = head.decode().split("\r\n")
    assert first == "POST /a%20b?c=d HTTP/1.1"
    assert body == b'{"b":1,"a":2}'
    assert sorted(headers) == [
        "Accept-Encoding: identity",
        "Content-Length: 13",
        f"Host: 127.0.0.1:{server.port}",
        "Idempotency-Key: k",
    ]


@pytest.mark.parametrize(
    ("text", "body"),
    [
        (http(204, b""), b""),
        (http(200, b""), b""),
        (chunked(b'{"a":', b"1}"), b'{"a":1}'),
        (chunked(b"{}", end=b"0\r\nX-Trailer: 1\r\n\r\n"), b"{}"),
        (http(body=b'"\xff\xfe"'), b'"\xff\xfe"'),
        (http(body=b"x" * MAX_BODY), b"x" * MAX_BODY),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b'{"ok":true}'),
        (b"HTTP/1.1 200 OK\r\nX: \xe9\xff\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.0 200 OK\r\n\r\nold", b"old"),
    ],
)
def test_bodies_of_every_framing_are_read_whole(text, body):
    with Server(then_close(text)) as server:
        assert send(server).body == body


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_is_not_followed(status):
    with Server(answers(OK)) as other:
        location = f"Location: {other.url}/elsewhere\r\n"
        with Server(answers(http(status, b"", location))) as server:
            assert send(server).status == status
    assert other.connections == 0


def test_a_compressed_body_is_not_decompressed():
    bomb = gzip.compress(b"0" * 5_000_000)
    assert len(bomb) < MAX_BODY
    with Server(answers(http(body=bomb, headers="Content-Encoding: gzip\r\n"))) as server:
        assert send(server).body == bomb


def test_no_proxy_is_taken_from_the_environment(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with Server(answers(OK)) as server:
        assert send(server).status == 200


def test_an_answer_that_comes_before_the_whole_call_was_heard_counts():
    def impatient(peer: Peer) -> None:
        peer.send(http(413, b"{}", "Connection: close\r\n"))
        peer.wait(0.1)

    with Server(impatient) as server:
        assert send(server, body=b"x" * 20_000_000).status == 413


# --- No connection: the call was not sent -----------------------------------------------------


def test_a_closed_port():
    url = f"http://127.0.0.1:{closed_port()}"
    assert not_reached(url) == "was not reached: connection refused"


def test_a_port_that_swallows_packets():
    with black_hole() as port, ends_by_the_deadline():
        why = not_reached(f"http://127.0.0.1:{port}")
    assert why == "was not reached: no connection within 0.3 s"


def test_a_host_without_an_address():
    assert not_reached("http://a..b") == "was not reached: its host name is not known"


def test_a_resolver_that_hangs(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: time.sleep(TIMEOUT * 3))
    with ends_by_the_deadline():
        why = not_reached("http://somewhere")
    assert why == "was not reached: no connection within 0.3 s"


def test_an_address_that_swallows_packets_leaves_time_for_the_next_one(monkeypatch):
    with black_hole() as port, Server(answers(OK)) as server:
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", number))
            for number in (port, closed_port(), server.port)
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: found)
        assert send(connections("http://somewhere"), timeout=0.6).status == 200


def test_a_server_that_speaks_no_tls():
    with Server(deaf) as server, ends_by_the_deadline():
        why = not_reached(server.url.replace("http", "https"))
    assert why == "was not reached: no connection within 0.3 s"


def test_a_server_that_drips_where_tls_should_be():
    def drips(peer: Peer) -> None:
        peer.send(b"\x16\x03\x03\x10\x00")  # a record of 4 kB is announced, and never ends
        peer.drip(b"\x02")

    with Server(drips) as server, ends_by_the_deadline():
        not_reached(server.url.replace("http", "https"))


def test_a_server_that_answers_tls_in_plain_http():
    with Server(lambda peer: peer.send(OK)) as server:
        why = not_reached(server.url.replace("http", "https"))
    assert why == "was not reached: no TLS connection came about"


def test_nothing_is_sent_once_the_deadline_has_passed():
    with Server(answers(OK)) as server:
        line = connections(server.url)
        with pytest.raises(NotReached):
            send(line, timeout=-1)
        send(line)
        with pytest.raises(NoAnswer):  # on a connection that is open already
            send(line, timeout=-1)
        assert len(server.settle(1)) == 1
