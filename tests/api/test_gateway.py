"""The seed's curl commands through the WSGI application: the gateway's paths without a gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from typing import Any, NamedTuple, cast

import pytest
import yaml
from django.urls import clear_script_prefix

from sagaproject.wsgi import application
from tests.api.client import PURCHASE
from tests.api.links import Links

pytestmark = pytest.mark.django_db(transaction=True)  # each request ends its connection

CURL_FORM = {"CONTENT_TYPE": "application/x-www-form-urlencoded"}
JSON = {"CONTENT_TYPE": "application/json"}
ORCHESTRATOR = "/saga-orchestrator"


@pytest.fixture(autouse=True)
def no_prefix() -> Iterator[None]:
    """Django keeps the prefix of a thread's last request."""
    yield
    clear_script_prefix()


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: str


def ask(method: str, path: str, content: bytes = b"", /, **environ: str) -> Reply:
    """One request as a server hands it to the application."""
    started: list[Any] = []
    body = application(
        {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "SERVER_NAME": "testserver",
            "SERVER_PORT": "80",
            "CONTENT_LENGTH": str(len(content)),
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(content),
            **environ,
        },
        lambda *line_and_headers: started.extend(line_and_headers[:2]),
    )
    with closing(cast(Any, body)):
        text = b"".join(body).decode(errors="replace")
    return Reply(int(started[0][:3]), dict(started[1]), text)


@pytest.mark.parametrize("headers", [JSON, CURL_FORM], ids=["json", "bare -d"])
def test_the_seeds_commands(headers: dict[str, str]) -> None:
    sagas = f"{ORCHESTRATOR}/api/v1/sagas"
    created = ask("POST", sagas, json.dumps(PURCHASE).encode(), **headers)
    saga_id = json.loads(created.body)["id"]
    assert (created.status, created.headers["Location"]) == (201, f"{sagas}/{saga_id}")
    assert ask("GET", created.headers["Location"]).status == 200
    assert ask("POST", f"{sagas}/{saga_id}/execute").status == 202
    assert json.loads(ask("GET", sagas).body)["results"][0]["status"] == "in_progress"
    assert ask("GET", "/saga/health").status == 200
    assert "saga_total{" in ask("GET", "/saga/metrics").body


@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        ("/api-docs", ""),
        (f"{ORCHESTRATOR}/api-docs", ""),
        ("/api-docs", ORCHESTRATOR),
    ],
)
def test_the_page_works_under_the_gateways_prefix(path: str, prefix: str) -> None:
    forwarded = {"HTTP_X_FORWARDED_PREFIX": prefix} if prefix else {}
    base = prefix or path.removesuffix("/api-docs")
    page = ask("GET", path, **forwarded)
    assert page.status == 200
    for link in Links(page.body).found:
        assert link.startswith(f"{base}/static/") or link == f"{base}/api-docs?script="
        address, _, query = link.removeprefix(prefix).partition("?")
        loaded = ask("GET", address, QUERY_STRING=query, **forwarded)
        assert loaded.status == 200
    # The last one tells the page where its document is.
    assert f"{base}/api-docs/openapi.yaml" in loaded.body.replace("\\u002D", "-")
    document = ask("GET", path + "/openapi.yaml", **forwarded)
    assert yaml.safe_load(document.body)["servers"] == [{"url": base or "/"}]
