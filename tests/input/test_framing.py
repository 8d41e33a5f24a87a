"""How a request is framed, and its headers: sent byte by byte to the running service."""

from __future__ import annotations

import gzip
import json
import socket
import struct
import time

import pytest

from tests.input.conftest import BODY_LIMIT
from tests.input.guard import BODY, Guard, faults
from tests.input.wire import SAGAS, exchange, parse, request

pytestmark = pytest.mark.xdist_group("input")

GOOD = json.dumps(BODY).encode()
LENGTH = str(len(GOOD)).encode()
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(GOOD), GOOD)


def post(*lines: bytes, body: bytes = GOOD, **more: bytes | None) -> bytes:
    return request("POST", SAGAS, body, *lines, **more)


REFUSED: list[tuple[bytes, int]] = [
    (post(content_type=None), 415),
    (post(content_type=b""), 415),
    (post(content_type=b"text/plain"), 415),
    (post(content_type=b"text/json"), 415),
    (post(content_type=b"application/xml"), 415),
    (post(content_type=b"multipart/form-data; boundary=x"), 415),
    (post(content_type=b"\xff\xfe;;;="), 415),
    (post(content_type=b"application/json, text/plain"), 415),
    (post(b"Content-Encoding: gzip", body=gzip.compress(GOOD)), 415),
    (post(b"Content-Encoding: GZIP", body=gzip.compress(GOOD)), 415),
    (post(b"Content-Encoding: br"), 415),
    (post(b"Content-Encoding: identity, gzip"), 415),
    (post(body=b" " * (BODY_LIMIT + 1)), 413),
    (post(body=GOOD + b" " * BODY_LIMIT), 413),
    (
        post(
            body=b" " * (BODY_LIMIT + 1),
            content_type=b"application/x-www-form-urlencoded",
        ),
        413,
    ),
    (post(body=b"{", length=b"99999999"), 413),  # at once: nobody waits for the rest
    (post(body=b"{", length=b"9" * 30), 413),
    (post(length=b"20"), 400),  # the rest would be another request
    (post(b"Transfer-Encoding: chunked", body=CHUNKED), 411),
    (post(b"Transfer-Encoding: chunked", body=b"zz\r\n" + GOOD), 411),
    (post(b"Accept: application/xml"), 406),
    (post(b"Accept: image/*, text/html;q=0.1"), 406),
    (post(b"Accept: \xff"), 406),
    (post(b"Accept: ,,,"), 406),
    (post(b'Cookie: sessionid="\\000aaaa"'), 400),
    (post(b"Cookie: csrftoken=x; \\000=1; sessionid=\\000", body=b"{"), 400),
    (post(b"Host: a b<script>").replace(b"Host: 127.0.0.1\r\n", b""), 400),
]


@pytest.mark.parametrize(("sent", "status"), REFUSED, ids=range(len(REFUSED)))
def test_a_request_that_is_refused(guard: Guard, sent: bytes, status: int) -> None:
    guard.refused(sent, status)


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b" ",
        b"a b",
        b"a\tb",
        b"\xc3\xa9",
        b"\xe9",
        b"\xe2\x80\xa8",
        b"k" * 256,
        b"k" * 300,
        b"a,b",
    ],
    ids=repr,
)
def test_odd_idempotency_keys(guard: Guard, key: bytes) -> None:
    problem = guard.refused(post(b"Idempotency-Key: " + key), 400).json
    assert list(problem["errors"]) == ["Idempotency-Key"]


def test_two_idempotency_keys_are_none(guard: Guard) -> None:
    for second in (b"one", b"two"):
        guard.refused(post(b"Idempotency-Key: one", b"Idempotency-Key: " + second), 400)


# What is no HTTP does not reach the application: gunicorn answers it.


NO_HTTP: list[tuple[bytes, int]] = [
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),  # TLS
    (b"\r\n\r\n\r\n\r\n", 400),
    (b"GET /health\r\n\r\n", 400),
    (b"GET /health HTTP/3.0\r\nHost: a\r\n\r\n", 400),
    (b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    (request("get", SAGAS), 400),
    (request("G\0T", SAGAS), 400),
    (request("G@T", SAGAS), 400),
    (request("A" * 100, SAGAS), 400),
    (request("GET", SAGAS + "/\0"), 400),
    (request("GET", SAGAS.encode() + b"?search=\xff\xfe"), 400),
    (request("GET", SAGAS.encode() + b"/\xc3\xa9"), 400),
    (request("GET", "/api/v1/ sagas"), 400),
    (request("GET", "/" + "a" * 9000), 414),
    (post(length=b"-1"), 400),
    (post(length=b"+5"), 400),
    (post(length=b"1_0"), 400),
    (post(length=b"12abc"), 400),
    (post(length=b"0x10"), 400),
    (post(length=b""), 400),
    (post(b"Content-Length: " + LENGTH, b"Content-Length: 5"), 400),
    (post(b"Content-Length: " + LENGTH, b"Content-Length: " + LENGTH), 400),
    (post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=CHUNKED), 400),
    (post(b"Transfer-Encoding: gzip"), 400),
    (post(b"Transfer-Encoding: chunked, identity", body=CHUNKED), 400),
    (post(b"Expect: 200-ok"), 417),
    (post(b"X-A: a\0b"), 400),
    (post(b"X\0A: b"), 400),
    (post(b"Idempotency-Key: a\0b"), 400),
    (post(b"nonsense"), 400),
    (post(b"X-A : 1"), 400),
    (post(b"X-A: 1", b" folded"), 400),
    (post(b"X-A: 1\rX-B: 2"), 400),
    (post(b"Content-Type: text/plain"), 400),  # a second one
    (post(b"X-Long: " + b"a" * 9000), 431),
    (post(*(b"X-%d: 1" % number for number in range(200))), 431),
]


@pytest.mark.parametrize(("sent", "status"), NO_HTTP, ids=range(len(NO_HTTP)))
def test_what_is_no_http_is_gunicorns_to_refuse(guard: Guard, sent: bytes, status: int) -> None:
    guard.refused_by_gunicorn(sent, status)


@pytest.mark.parametrize("line", [b"SCRIPT_NAME: /x", b"SCRIPT_NAME: /health", b"PATH_INFO: /x"])
def test_no_header_says_what_the_path_is(guard: Guard, line: bytes) -> None:
    answer = exchange(guard.service.url, request("GET", "/health/live", b"", line))
    assert answer is not None
    assert answer.status == 200


# --- Bodies that do not arrive ----------------------------------------------------------------


@pytest.mark.parametrize("body", [GOOD, GOOD[:50], b""], ids=["json all the same", "half", "none"])
def test_a_body_that_ends_too_soon(guard: Guard, body: bytes) -> None:
    guard.refused(post(body=body, length=b"5000"), 400, half_close=True)


def test_a_client_that_is_gone_in_the_middle_of_its_body(guard: Guard) -> None:
    before, mark = guard.count(), guard.mark()
    with socket.create_connection(("127.0.0.1", guard.service.port)) as wire:
        wire.sendall(post(body=GOOD[:50], length=LENGTH))
        time.sleep(0.3)  # until it is being read
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    time.sleep(0.3)
    assert guard.count() == before
    assert not faults(guard.since(mark))
    guard.still_serves()


def test_clients_that_send_less_than_they_announce_do_not_keep_the_threads(guard: Guard) -> None:
    before = guard.count()
    wires = [socket.create_connection(("127.0.0.1", guard.service.port)) for _ in range(16)]
    for wire in wires:
        wire.sendall(post(body=GOOD[:50], length=LENGTH))
    for wire in wires:
        wire.settimeout(30)
        answer = parse(wire.recv(65536))
        assert answer is not None
        assert answer.status == 400
        wire.close()
    guard.still_serves()
    assert guard.count() == before


def test_clients_that_never_finish_their_heads_do_not_keep_the_threads(guard: Guard) -> None:
    """Each sends a byte now and then, so that none falls silent."""
    wires = [socket.create_connection(("127.0.0.1", guard.service.port)) for _ in range(16)]
    until, open_ = time.monotonic() + 20, list(wires)
    for wire in wires:
        wire.sendall(b"GET /health HTTP/1.1\r\nX-Slow: ")
        wire.setblocking(False)
    while open_ and time.monotonic() < until:
        time.sleep(0.1)
        open_ = [wire for wire in open_ if _drip(wire)]
    assert not open_
    for wire in wires:
        wire.close()
    guard.still_serves()


def _drip(wire: socket.socket) -> bool:
    """Send one more byte; whether the other end still listens."""
    try:
        wire.send(b"x")
        return wire.recv(1000) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def test_what_follows_a_body_is_a_request_of_its_own(guard: Guard) -> None:
    first = post(body=b"{}").replace(b"Connection: close\r\n", b"")
    answer = guard.send(first + request("GET", "/health/live"))
    assert answer.status == 400
    second = parse(answer.rest)
    assert second is not None
    assert second.json == {"status": "ok"}


def test_a_body_that_nobody_reads_is_no_request(guard: Guard) -> None:
    hidden = request("POST", SAGAS, GOOD)
    before = guard.count()
    for target, line in (("/nowhere", b"X-A: 1"), (SAGAS, b"Content-Encoding: gzip")):
        sent = request("POST", target, hidden, line).replace(b"Connection: close\r\n", b"", 1)
        answer = guard.send(sent + request("GET", "/health/live"))
        assert answer.status in (404, 415)
        second = parse(answer.rest)
        assert second is None or second.json == {"status": "ok"}
    assert guard.count() == before
