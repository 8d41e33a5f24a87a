"""Errors: a problem document (RFC 9457) whatever goes wrong, and wherever."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.db import OperationalError
from django.test import Client

from sagas import services
from tests.api.client import PURCHASE, SAGAS, Api

pytestmark = pytest.mark.django_db

CONTENT = json.dumps(PURCHASE).encode()
WRONG_METHODS = [
    (SAGAS, "DELETE", "GET, HEAD, OPTIONS, POST"),
    (SAGAS, "PUT", "GET, HEAD, OPTIONS, POST"),
    (SAGAS, "PATCH", "GET, HEAD, OPTIONS, POST"),
    (SAGAS, "TRACE", "GET, HEAD, OPTIONS, POST"),
    (SAGAS, "BREW", "GET, HEAD, OPTIONS, POST"),
    (f"{SAGAS}/{'0' * 8}-0000-0000-0000-{'0' * 12}", "DELETE", "GET, HEAD, OPTIONS"),
    (f"{SAGAS}/{'0' * 8}-0000-0000-0000-{'0' * 12}/execute", "GET", "OPTIONS, POST"),
    ("/health", "POST", "GET, HEAD, OPTIONS"),
    ("/health/live", "DELETE", "GET, HEAD, OPTIONS"),
    ("/metrics", "POST", "GET, HEAD, OPTIONS"),
    ("/api-docs", "POST", "GET, HEAD, OPTIONS"),
    ("/api-docs/openapi.yaml", "POST", "GET, HEAD, OPTIONS"),
]


@pytest.mark.parametrize(("path", "method", "allow"), WRONG_METHODS)
def test_a_wrong_method(api: Api, path: str, method: str, allow: str) -> None:
    answer = api.send(method, path)
    api.refused(answer, 405)
    assert sorted(answer.headers["allow"].split(", ")) == allow.split(", ")


@pytest.mark.parametrize(
    "path",
    ["/api", "/api/v1", "/api/v2/sagas", f"{SAGAS}/", "/health/", "/static/none.js", "/%FF"],
)
def test_an_unknown_address(api: Api, path: str) -> None:
    assert api.refused(api.get(path), 404)["title"] == "Not Found"
    api.refused(api.post(path, PURCHASE), 404)


@pytest.mark.parametrize("path", ["/%00", f"{SAGAS}/a%00b", "/health%00"])
def test_nul_in_a_path(api: Api, path: str) -> None:
    api.refused(api.get(path), 400)


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/xml", "multipart/form-data", "x"]
)
def test_a_body_of_another_media_type(api: Api, media_type: str) -> None:
    problem = api.refused(api.send("POST", SAGAS, CONTENT, media_type), 415)
    assert media_type in problem["detail"]


def test_a_compressed_body(api: Api) -> None:
    content = gzip.compress(CONTENT)
    api.refused(api.send("POST", SAGAS, content, Content_Encoding="gzip"), 415)
    api.refused(api.send("POST", SAGAS, content), 400)


def test_a_body_without_a_length(api: Api) -> None:
    answer = api.client.generic(
        "POST", SAGAS, CONTENT, headers={"Transfer-Encoding": "chunked"}, CONTENT_LENGTH=""
    )
    assert (answer.status_code, answer["Content-Type"]) == (411, "application/problem+json")


@pytest.mark.parametrize("path", [SAGAS, f"{SAGAS}/{'0' * 8}-0000-0000-0000-{'0' * 12}/execute"])
@pytest.mark.parametrize("media_type", ["application/json", "application/x-www-form-urlencoded"])
def test_a_body_over_the_limit(api: Api, path: str, media_type: str) -> None:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    api.refused(api.send("POST", path, b" " * (limit + 1), media_type), 413)
    api.refused(api.send("POST", SAGAS, b" " * limit, media_type), 400)


@pytest.mark.parametrize("accept", ["application/xml", "image/*"])
def test_an_answer_of_another_media_type_is_not_to_be_had(api: Api, accept: str) -> None:
    api.refused(api.get(SAGAS, Accept=accept), 406)


@pytest.mark.parametrize("accept", ["*/*", "application/*;q=0.1", "application/json"])
def test_json_is_to_be_had(api: Api, accept: str) -> None:
    assert api.get(SAGAS, Accept=accept).status == 200


def broken(error: Exception) -> Any:
    def get_saga(*args: Any, **kwargs: Any) -> None:
        raise error

    return get_saga


def test_a_bug_is_a_500_that_tells_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "create_saga", broken(RuntimeError("the secret is 42")))
    answer = api.create()
    problem = api.refused(answer, 500)
    assert problem["title"] == "Internal Server Error"
    for word in (b"42", b"secret", b"RuntimeError", b".py"):
        assert word not in answer.body


def test_a_lost_database_is_a_503_with_retry_after(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = OperationalError("connection to server at 10.0.0.7, user saga_user: refused")
    monkeypatch.setattr(services, "create_saga", broken(error))
    answer = api.create()
    api.refused(answer, 503)
    assert answer.headers["retry-after"] == "5"
    assert b"10.0.0.7" not in answer.body


def test_a_suspicious_request_is_a_400(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "create_saga", broken(SuspiciousOperation("hm")))
    api.refused(api.create(), 400)
    api.refused(api.get(SAGAS + "?" + "&".join(f"a{n}=1" for n in range(2000))), 400)


@pytest.mark.parametrize(
    ("given", "kept"),
    [("order-7/a", True), ("", False), ("a b", False), ("x" * 129, False), ("<script>", False)],
)
def test_every_answer_has_a_request_id(api: Api, given: str, kept: bool) -> None:
    for path in (SAGAS, "/nowhere", "/health/live"):
        answer = api.get(path, X_Request_Id=given)
        assert (answer.headers["x-request-id"] == given) == kept
        assert answer.headers["x-request-id"]


@pytest.mark.parametrize("path", [SAGAS, "/health", "/metrics", "/api-docs"])
def test_options_say_what_is_allowed(api: Api, path: str) -> None:
    answer = api.client.options(path)
    assert answer.status_code == 200
    assert "GET" in answer["Allow"]


def test_the_root_leads_to_the_console() -> None:
    answer = Client().get("/")
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")


def test_the_console_answers_people_with_pages(admin_client: Client) -> None:
    answer = admin_client.get("/admin/sagas/nothing/here/")
    assert answer.status_code == 404
    assert answer["Content-Type"].startswith("text/html")


def test_a_cookie_with_nul_is_refused() -> None:
    client = Client(raise_request_exception=False)
    for path in (SAGAS, "/admin/"):
        answer = client.get(path, headers={"Cookie": 'sessionid="\\000aaaaaaaa"'})
        assert answer.status_code == 400, path
