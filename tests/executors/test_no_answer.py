"""The transport, against real servers that give no whole answer in time."""

from __future__ import annotations

import time

import pytest

from executors.transport import NoAnswer, NotReached
from tests.executors.sending import (
    MAX_BODY,
    SLOW,
    TIMEOUT,
    chunked,
    ends_by_the_deadline,
    send,
)
from tests.executors.tcp import (
    Peer,
    Script,
    Server,
    deaf,
    http,
    reset_after_reading,
    reset_at_once,
    then_close,
)


@pytest.mark.parametrize("script", SLOW.values(), ids=SLOW.keys())
def test_the_total_deadline_holds(script):
    with Server(script) as server:
        with (
            ends_by_the_deadline(),
            pytest.raises(NoAnswer, match=r"^did not answer within 0.3 s$"),
        ):
            send(server, timeout=TIMEOUT)
        assert len(server.settle(1)) == 1
        assert server.connections == 1


def test_the_total_deadline_holds_while_sending():
    with Server(deaf) as server, ends_by_the_deadline(), pytest.raises(NoAnswer, match="within"):
        send(server, timeout=TIMEOUT, body=b"x" * 20_000_000)


def reset_in_the_body(peer: Peer) -> None:
    peer.read()
    peer.send(http(length=99))
    peer.reset()


BROKEN: dict[str, Script] = {
    "closed before an answer": then_close(b""),
    "reset before an answer": reset_after_reading,
    "half a status line": then_close(b"HTTP/1.1"),
    "half the headers": then_close(b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 2"),
    "a head without its end": then_close(b"HTTP/1.1 200 OK\r\nX: y\r\n"),
    "half a header": then_close(b"HTTP/1.1 204 No Content\r\nDate: Sat, 1"),
    "no header at all": then_close(b"HTTP/1.1 200 OK\r\n"),
    "half an interim answer": then_close(b"HTTP/1.1 103 Early Hints\r\nX: y\r\n"),
    "nothing after an interim answer": then_close(b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "no body": then_close(http(length=2, body=b"")),
    "half a body": then_close(http(length=99, body=b'{"ok":true}')),
    "whole JSON, half a body": then_close(http(length=3, body=b"{}")),
    "half a chunk": then_close(chunked(b"{}", end=b"9\r\nab")),
    "no last chunk": then_close(chunked(b"{}", end=b"")),
    "reset in the body": reset_in_the_body,
}


@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_connection_is_no_answer_and_the_call_is_sent_once(script):
    with Server(script) as server:
        with pytest.raises(NoAnswer) as caught:
            send(server)
        assert len(server.settle(1)) == 1
        assert server.connections == 1
    assert str(caught.value) in (
        "broke the connection before its answer was whole",
        "did not answer in proper HTTP",
    )


def test_a_connection_that_is_reset_at_once():
    with Server(reset_at_once) as server:
        with pytest.raises((NoAnswer, NotReached)):
            send(server)
        time.sleep(0.02)
        assert server.connections == 1


TOO_LARGE = {
    "announced": http(body=b"", length=MAX_BODY + 1),
    "announced in many digits": http(body=b"", length=10**30),
    "chunked": chunked(*[b"x" * 1000] * 11),
    "one endless chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n"
    + b"x" * (MAX_BODY + 1),
    "until the end": b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MAX_BODY + 1),
}


@pytest.mark.parametrize("text", TOO_LARGE.values(), ids=TOO_LARGE.keys())
def test_a_body_over_the_limit_is_given_up(text):
    def endless(peer: Peer) -> None:
        peer.read()
        peer.send(text)
        peer.wait()

    with Server(endless) as server:
        with pytest.raises(NoAnswer, match="larger than the limit"):
            send(server)
        assert len(server.settle(1)) == 1


NOT_HTTP = {
    "garbage": b"hello\r\n\r\n",
    "HTML": b"<html>It works!</html>\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "status out of range": b"HTTP/1.1 99999 OK\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "101 headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 101 + b"\r\n",
    "a header too long": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
    "a status line too long": b"HTTP/1.1 200 " + b"y" * 70_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("text", NOT_HTTP.values(), ids=NOT_HTTP.keys())
def test_what_is_not_http_is_no_answer(text):
    with Server(then_close(text)) as server:
        with pytest.raises(NoAnswer, match=r"^did not answer in proper HTTP$"):
            send(server)
        assert len(server.settle(1)) == 1
