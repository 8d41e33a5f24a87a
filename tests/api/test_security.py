"""What answers tell browsers, hosts, TLS at the gateway, and pages of other origins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client, RequestFactory, override_settings

from sagas.addresses import client_address

pytestmark = pytest.mark.django_db

MONITORS = ("/health", "/health/live", "/health/ready", "/metrics")
SAGAS = "/api/v1/sagas"
PAGE = "https://shop.example.com"


@pytest.mark.parametrize(
    "path",
    [*MONITORS, SAGAS, "/nowhere", "/api-docs", "/admin/login/", "/admin/nowhere", "/?%00"],
)
def test_every_answer_has_them(path: str) -> None:
    found = Client().get(path).headers
    assert found["X-Content-Type-Options"] == "nosniff"
    assert found["X-Frame-Options"] == "DENY"
    assert found["Referrer-Policy"] == "same-origin"
    assert found["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in found["Permissions-Policy"]
    policy = found["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    page = path.startswith("/admin/") or path == "/api-docs"
    assert ("script-src" in policy) is page
    assert ("'unsafe-eval'" in policy) is path.startswith("/admin/")
    assert "'unsafe-inline'" not in policy.split("style-src")[0]


# --- Hosts ------------------------------------------------------------------------------------


@override_settings(ALLOWED_HOSTS=["saga.example.com"])
def test_monitors_ask_by_any_name_and_others_by_ours() -> None:
    for path in MONITORS:
        assert Client().get(path, headers={"Host": "10.0.0.7:3000"}).status_code == 200
    for path in (SAGAS, "/admin/login/", "/api-docs"):
        assert Client().get(path, headers={"Host": "evil.example"}).status_code == 400
        assert Client().get(path, headers={"Host": "saga.example.com"}).status_code == 200


# --- TLS at the gateway -----------------------------------------------------------------------


@pytest.fixture
def tls() -> Iterator[None]:
    settings: dict[str, Any] = {
        "SAGA_TLS": True,
        "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https"),
        "SECURE_HSTS_SECONDS": 1000,
        "ALLOWED_HOSTS": ["saga.example.com", "testserver"],
    }
    with override_settings(**settings):
        yield


def came_by(scheme: str, host: str = "saga.example.com") -> dict[str, str]:
    return {"X-Forwarded-Proto": scheme, "Host": host}


def test_what_came_by_tls_is_to_stay_so(tls: None) -> None:
    answer = Client().get("/admin/login/", headers=came_by("https"))
    assert answer.status_code == 200
    assert answer.headers["Strict-Transport-Security"] == "max-age=1000"


def test_a_person_who_came_in_plain_is_sent_to_tls(tls: None) -> None:
    answer = Client().get("/admin/login/?next=/a", headers=came_by("http"))
    assert answer.status_code == 301
    assert answer.headers["Location"] == "https://saga.example.com/admin/login/?next=/a"


def test_nobody_is_sent_to_a_host_that_is_not_ours(tls: None) -> None:
    answer = Client().get("/admin/login/", headers=came_by("http", "evil.example"))
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("method", "path"), [("GET", SAGAS), ("POST", SAGAS), ("POST", "/admin/login/")]
)
def test_a_program_that_came_in_plain_is_refused(tls: None, method: str, path: str) -> None:
    answer = Client().generic(method, path, headers=came_by("http"))
    assert (answer.status_code, answer.headers["Content-Type"]) == (403, "application/problem+json")


def test_what_came_past_the_gateway_is_answered_in_plain(tls: None) -> None:
    assert Client().get(SAGAS).status_code == 200
    for path in MONITORS:
        assert Client().get(path, headers=came_by("http", "10.0.0.7")).status_code == 200


def test_without_tls_nobody_is_believed() -> None:
    answer = Client().get("/admin/login/", headers=came_by("http"))
    assert answer.status_code == 200
    answer = Client().get("/admin/login/", headers=came_by("https"))
    assert "Strict-Transport-Security" not in answer.headers


# --- Pages of other origins -------------------------------------------------------------------


def preflight(path: str, origin: str) -> Any:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key,prefer,"
        "traceparent,x-request-id",
    }
    return Client().options(path, headers=asked).headers


@override_settings(CORS_ALLOWED_ORIGINS=[PAGE])
def test_a_page_of_a_known_origin_may_call_the_api() -> None:
    found = preflight(f"{SAGAS}/0192f1aa-0000-7000-8000-000000000001/execute", PAGE)
    assert found["Access-Control-Allow-Origin"] == PAGE
    assert "POST" in found["Access-Control-Allow-Methods"].split(", ")
    allowed = found["Access-Control-Allow-Headers"].split(", ")
    asked = {"authorization", "content-type", "idempotency-key", "prefer", "traceparent"}
    assert {*asked, "x-request-id"} <= set(allowed)
    answer = Client().get(f"{SAGAS}?limit=nonsense", headers={"Origin": PAGE})
    assert answer.status_code == 400
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE, "errors can be read, too"
    assert set(answer.headers["Access-Control-Expose-Headers"].split(", ")) == {
        *("Location", "Idempotency-Replayed", "Retry-After"),
        *("X-Request-Id", "Preference-Applied"),
    }
    assert "Access-Control-Allow-Credentials" not in answer.headers


@override_settings(CORS_ALLOWED_ORIGINS=[PAGE])
@pytest.mark.parametrize(
    ("path", "origin"),
    [
        (SAGAS, "https://evil.example"),
        (SAGAS, "http://shop.example.com"),
        (SAGAS, f"{PAGE}.evil.example"),
        (SAGAS, "null"),
        ("/admin/login/", PAGE),
        ("/metrics", PAGE),
    ],
)
def test_others_may_not(path: str, origin: str) -> None:
    for found in (preflight(path, origin), Client().get(path, headers={"Origin": origin}).headers):
        assert "Access-Control-Allow-Origin" not in found


def test_nobody_may_unless_told() -> None:
    assert "Access-Control-Allow-Origin" not in preflight(SAGAS, PAGE)


# --- Clients' addresses -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trusted", "forwarded", "found"),
    [
        (0, "1.1.1.1", "9.9.9.9"),
        (1, "1.1.1.1, 2.2.2.2", "2.2.2.2"),
        (2, "1.1.1.1, 2.2.2.2, 3.3.3.3", "2.2.2.2"),
        (2, "3.3.3.3", "3.3.3.3"),
        (1, "", "9.9.9.9"),
        (1, " , ", "9.9.9.9"),
    ],
)
def test_the_client_s_address(trusted: int, forwarded: str, found: str) -> None:
    request = RequestFactory().get(
        "/", REMOTE_ADDR="9.9.9.9", headers={"X-Forwarded-For": forwarded}
    )
    with override_settings(SAGA_TRUSTED_PROXIES=trusted):
        assert client_address(request) == found
