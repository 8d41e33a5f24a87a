"""The transport, against real servers that misbehave in every way."""

from __future__ import annotations

import gzip
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from executors import transport
from executors.transport import Answer, Connections, NoAnswer, NotReached
from tests.executors.tcp import (
    Peer,
    Script,
    Server,
    answers,
    black_hole,
    closed_port,
    deaf,
    http,
    reset_after_reading,
    reset_at_once,
    silent,
    then_close,
)

TIMEOUT = 0.3
MAX_BODY = 10_000
OK = http(body=b'{"ok":true}')


def connections(url: str, keep: int = 4) -> Connections:
    return Connections(urlsplit(url), keep=keep, max_body=MAX_BODY)


def send(
    to: Connections | Server,
    *,
    timeout: float = 2,
    body: bytes = b"{}",
    headers: dict[str, str] | None = None,
    path: str = "/path",
) -> Answer:
    line = to if isinstance(to, Connections) else connections(to.url)
    return line.send("POST", path, body, headers or {}, deadline=time.monotonic() + timeout)


@contextmanager
def ends_by_the_deadline() -> Iterator[None]:
    started = time.monotonic()
    yield
    assert TIMEOUT - 0.05 < time.monotonic() - started < TIMEOUT + 0.3


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks) + end


def dripping(start: bytes, drop: bytes) -> Script:
    def script(peer: Peer) -> None:
        peer.read()
        peer.send(start)
        peer.drip(drop)

    return script


# --- A usable answer --------------------------------------------------------------------------


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


def not_reached(url: str, timeout: float = TIMEOUT) -> str:
    with pytest.raises(NotReached) as caught:
        send(connections(url), timeout=timeout)
    return str(caught.value)


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


# --- A connection, but no whole answer --------------------------------------------------------

SLOW: dict[str, Script] = {
    "silence": silent,
    "status line": dripping(b"HTTP/1.1 200 ", b"O"),
    "headers": dripping(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "one header": dripping(b"HTTP/1.1 200 OK\r\nX: ", b"y"),
    "body": dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", b" "),
    "body without length": dripping(b"HTTP/1.1 200 OK\r\n\r\n", b" "),
    "chunks": dripping(chunked(b"{", end=b""), b"1\r\n \r\n"),
    "chunk size": dripping(chunked(b"{", end=b""), b"0"),
    "trailers": dripping(chunked(b"{}", end=b"0\r\n"), b"X: y\r\n"),
    "interim answers": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


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


# --- Connections that are kept ----------------------------------------------------------------


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


def test_the_answer_after_an_interim_one_is_not_taken_for_the_next_call_s():
    def hints_first(peer: Peer) -> None:
        peer.read()
        peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        peer.read()
        peer.send(http(body=b'{"of":"the first"}'))

    with Server(hints_first, answers(OK)) as server:
        line = connections(server.url)
        assert send(line).status == 103
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


# --- TLS --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test"
    name = ["-addext", "subjectAltName=IP:127.0.0.1"]
    try:
        subprocess.run(
            ["openssl", *request.split(), *name, "-keyout", path, "-out", f"{path}.crt"],
            check=True,
            capture_output=True,
        )
    except FileNotFoundError:
        pytest.skip("openssl makes the certificate")
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@pytest.fixture
def tls_server(certificate: Path) -> Iterator[Callable[..., Server]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    servers: list[Server] = []

    def start(*scripts: Any) -> Server:
        servers.append(Server(*scripts, tls=context))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")


@pytest.mark.usefixtures("trusted")
def test_tls_answers_and_keeps_the_connection(tls_server):
    server = tls_server(answers(OK))
    line = connections(server.url)
    assert [send(line, body=b"x" * 500_000).status for _ in range(3)] == [200] * 3
    assert server.connections == 1


def test_a_certificate_that_nobody_vouches_for_is_refused_before_anything_is_sent(tls_server):
    server = tls_server(answers(OK))
    why = not_reached(server.url, timeout=2)
    assert why.startswith("was not reached: its certificate is not valid: self")
    assert server.settle(0) == []


@pytest.mark.usefixtures("trusted")
def test_a_certificate_for_another_name_is_refused_before_anything_is_sent(tls_server):
    server = tls_server(answers(OK))
    why = not_reached(server.url.replace("127.0.0.1", "localhost"), timeout=2)
    assert "its certificate is not valid" in why or "refused" in why
    assert server.settle(0) == []


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("name", ["silence", "headers", "body", "chunks"])
def test_the_total_deadline_holds_under_tls(tls_server, name):
    server = tls_server(SLOW[name])
    with ends_by_the_deadline(), pytest.raises(NoAnswer, match="did not answer within"):
        send(server, timeout=TIMEOUT)


@pytest.mark.usefixtures("trusted")
def test_the_total_deadline_holds_while_sending_under_tls(tls_server):
    def sips(peer: Peer) -> None:
        while True:
            peer.sip(100_000)
            peer.wait(0.01)

    server = tls_server(sips)
    with ends_by_the_deadline(), pytest.raises(NoAnswer, match="did not answer within"):
        send(server, timeout=TIMEOUT, body=b"x" * 30_000_000)
