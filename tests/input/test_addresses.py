"""Paths, queries and methods, sent to the running service."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.input.guard import Guard
from tests.input.questions import MISSING
from tests.input.wire import SAGAS, request

pytestmark = pytest.mark.xdist_group("input")


@pytest.fixture
def known(guard: Guard) -> str:
    saga_id: str = guard.service.get("?limit=1&status=completed")["results"][0]["id"]
    return saga_id


def get(target: str, *lines: bytes) -> bytes:
    return request("GET", target, b"", *lines)


@pytest.mark.parametrize(
    "target", [*MISSING, "/" + "a" * 3900, "/" + "%41" * 1000, "/" + "/" * 999]
)
def test_an_address_of_nothing(guard: Guard, target: str) -> None:
    guard.refused(get(target), 404)


@pytest.mark.parametrize("form", ["{0}/", "{0}0", "{1}", "{{{0}}}", "urn:uuid:{0}", "{0};x=1"])
@pytest.mark.parametrize("odd", ["", "%0a", "%20"])
def test_an_id_of_another_form(guard: Guard, known: str, form: str, odd: str) -> None:
    name = form.format(known, known.replace("-", "")) + odd
    guard.refused(get(f"{SAGAS}/{name}"), 404)
    guard.refused(request("POST", f"{SAGAS}/{name}/execute"), 404)


def test_an_id_of_no_saga(guard: Guard) -> None:
    for saga_id in (str(uuid4()), "0" * 8 + "-0000" * 3 + "-" + "0" * 12):
        guard.refused(get(f"{SAGAS}/{saga_id}"), 404)
        guard.refused(get(f"{SAGAS}/{saga_id}/events"), 404)
        for operation in ("execute", "compensate", "retry"):
            guard.refused(request("POST", f"{SAGAS}/{saga_id}/{operation}"), 404)


def test_an_id_in_upper_case_is_the_same(guard: Guard, known: str) -> None:
    upper = known.upper()
    assert upper != known
    assert guard.send(get(f"{SAGAS}/{upper}")).json["id"] == known
    assert guard.send(get(f"{SAGAS}/{upper}/events")).json[0]["kind"] == "saga_created"
    guard.refused(request("POST", f"{SAGAS}/{upper}/execute"), 409)


def test_an_encoded_slash_is_one(guard: Guard, known: str) -> None:
    """The same as without: a WSGI server decodes the path, so nothing can tell them apart."""
    assert guard.send(get(f"{SAGAS}%2f{known}")).json["id"] == known


@pytest.mark.parametrize(
    "target",
    [
        "/%00",
        f"{SAGAS}/a%00b",
        "/health%00",
        f"{SAGAS}?search=%00",
        f"{SAGAS}?%00=1",
        "/static/%00",
    ],
)
def test_nul_in_an_address(guard: Guard, target: str) -> None:
    guard.refused(get(target), 400)


def queries() -> Iterator[tuple[str, str]]:
    for name in ("limit", "offset"):
        for value in [
            "-1",
            "-0.5",
            "1.5",
            "1.0",
            "1e2",
            "0x1",
            "ten",
            "1_0",
            "%2B5",
            "5%20",
            "%205",
            "%D9%A1",
            "null",
            "true",
            "NaN",
            "1,2",
            "1;2",
            "%FF",
            "9999999",
            "99999999999999999999",
        ]:
            yield name, f"{name}={value}"
        yield name, name
        yield name, f"{name}="
        yield name, f"{name}=" + "9" * 400
        yield name, f"{name}=1&{name}=2"
    yield "limit", "limit=0"
    yield "limit", "limit=201"
    for name in ("created_after", "created_before"):
        for value in [
            "yesterday",
            "2026-13-45",
            "99999-01-01T00:00:00Z",
            "1",
            "0",
            "-1",
            "now",
            "%ED%A0%80",
            "2026-01-01T25:00:00Z",
            "2026-01-01T00:00:00%2B99:00",
            "0001-01-01T00:00:00%2B14:00",
            "9999-12-31T23:59:59-14:00",
            "2026-02-30T00:00:00Z",
        ]:
            yield name, f"{name}={value}"
    for value in ("done", "", "COMPLETED", "pending,failed", "pending%20", "%FF"):
        yield "status", f"status={value}"
    yield "status", "status=pending&status=completed"
    for value in ("id", "-id", "owner,-epoch", "__class__", "created_at;--", "", "%2Bcreated_at"):
        yield "ordering", f"ordering={value}"
    for value in ("", "%20", "%0a", "x" * 101, "%F0%9F%92%A9" * 101):
        yield "search", f"search={value}"
    yield "type", "type=" + "x" * 101
    for name in (
        "format",
        "page",
        "cursor",
        "id",
        "epoch",
        "owner",
        "a",
        "search[]",
        "search__regex",
    ):
        yield name, f"{name}=1"


@pytest.mark.parametrize(("name", "query"), list(queries()), ids=lambda text: text[:50])
def test_a_wrong_parameter_is_named(guard: Guard, name: str, query: str) -> None:
    assert list(guard.refused(get(f"{SAGAS}?{query}"), 400).json["errors"]) == [name]


@pytest.mark.parametrize(
    "value",
    ["%25", "_", "%5C", "%27%20OR%201=1%20--", "(((", "%F0%9F%92%A9", "%ED%A0%80", "%u0000", "%"],
)
def test_text_that_means_nothing_finds_nothing(guard: Guard, value: str) -> None:
    for name in ("search", "type"):
        page = guard.send(get(f"{SAGAS}?{name}={value}"))
        assert (page.status, page.json["results"]) == (200, [])


METHODS = ["DELETE", "PUT", "PATCH", "TRACE", "BREW", "CONNECT", "PROPFIND", "LOCK", "PURGE"]


@pytest.mark.parametrize("method", METHODS)
def test_a_method_that_no_address_knows(guard: Guard, known: str, method: str) -> None:
    one = f"{SAGAS}/{known}"
    for target in (SAGAS, one, f"{one}/events", f"{one}/execute", "/health", "/metrics"):
        answer = guard.refused(request(method, target, b'{"secret": 1}'), 405)
        assert answer.headers["allow"]
        assert b"secret" not in answer.body  # TRACE echoes nothing


@pytest.mark.parametrize("operation", ["execute", "compensate", "retry"])
def test_reading_an_operation_does_nothing(guard: Guard, known: str, operation: str) -> None:
    pending = guard.service.get("?status=pending&limit=1")["results"][0]["id"]
    for saga_id in (known, pending):
        for lines in ((), (b"X-HTTP-Method-Override: POST",)):
            target = f"{SAGAS}/{saga_id}/{operation}?_method=POST"
            guard.refused(request("GET", target, b"", *lines), 405)
        before = guard.count()
        assert guard.send(request("HEAD", target)).status == 405
        assert guard.send(request("OPTIONS", target)).status == 200
        assert guard.count() == before


def test_reading_changes_nothing(guard: Guard, known: str) -> None:
    before = guard.count()
    one = f"{SAGAS}/{known}"
    for target in (SAGAS, one, f"{one}/events", "/health", "/metrics", "/api-docs"):
        for method in ("GET", "HEAD", "OPTIONS"):
            mark = guard.mark()
            answer = guard.send(request(method, target))
            assert answer.status == 200, (method, target)
            assert method != "HEAD" or (not answer.body and int(answer.headers["content-length"]))
            assert guard.since(mark) == ""
    assert guard.count() == before


def test_an_address_with_a_host_of_its_own_is_only_a_path(guard: Guard) -> None:
    assert guard.send(get("http://evil.example/health/live")).json == {"status": "ok"}
    guard.refused(request("OPTIONS", "*"), 404)


ODD_HEADERS = [
    *(b"Prefer: " + value for value in (b"wait=-1", b"wait=99999999999", b"wait=abc", b"wait=1.5")),
    *(
        b"Prefer: " + value
        for value in (b'wait="', b"respond-async", b"\xff", b"wait=" + b"9" * 5000)
    ),
    *(b"Accept-Language: " + value for value in (b"en;q=x", b"\xff", b"../../etc", b"fr" * 999)),
    *(b"X-Request-Id: " + value for value in (b"\xff", b"a b", b"x" * 4000, b"%0a", b'"level"')),
    *(b"Cookie: " + value for value in (b"sessionid=\xff", b"sessionid=" + b"a" * 4000, b"=;=;;,")),
    *(b"Authorization: " + value for value in (b"Basic \xff", b"Basic !", b"Nope")),
    b"X-Forwarded-Prefix: javascript:x",
    b"X-Forwarded-Host: evil.example",
    b"X-Forwarded-Proto: \xff",
    b"If-None-Match: \xff",
    b"If-Modified-Since: nonsense",
    b"Range: bytes=99-1",
    b"Upgrade: h2c",
    b"Remote-User: root",
]


ODD_KEYS = [
    *(
        b"Authorization: Bearer" + rest
        for rest in (b"", b" \xff", b" x,Bearer y", b" " + b"x" * 7000)
    ),
    b"Authorization: Bearer saga_000000000000_" + b"0" * 64,
    b"X-Api-Key: \xc3\xa9",
    b"X-Api-Key:",
    b"X-Api-Key: a\r\nX-Api-Key: b",
]


@pytest.mark.parametrize("line", ODD_KEYS, ids=lambda line: repr(line[:40]))
def test_an_odd_key_is_refused(guard: Guard, known: str, line: bytes) -> None:
    guard.refused(get(f"{SAGAS}?limit=1", line), 401)
    guard.refused(request("POST", f"{SAGAS}/{known}/execute", b"", line), 401)


@pytest.mark.parametrize("line", ODD_HEADERS, ids=lambda line: repr(line[:40]))
def test_an_odd_header_that_asks_for_nothing(guard: Guard, known: str, line: bytes) -> None:
    assert guard.send(get(f"{SAGAS}?limit=1", line)).json["limit"] == 1
    answer = guard.refused(request("POST", f"{SAGAS}/{known}/execute", b"", line), 409)
    assert b"evil" not in repr(answer.headers).encode()
    assert "javascript" not in repr(answer.headers)
