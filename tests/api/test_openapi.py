"""The OpenAPI document and its page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
import yaml
from django.core.management import call_command
from django.test import Client
from django.urls import clear_script_prefix, set_script_prefix
from openapi_schema_validator import OAS30ReadValidator
from openapi_spec_validator import OpenAPIV30SpecValidator

from tests.api.contract import COMMITTED
from tests.api.links import Links

REGENERATE = "./run manage spectacular --fail-on-warn --validate --file openapi.yaml"
PROBLEM = "application/problem+json"


@pytest.fixture(autouse=True)
def no_prefix() -> Iterator[None]:
    """Django keeps the prefix of a thread's last request."""
    clear_script_prefix()
    yield
    clear_script_prefix()


@pytest.fixture(scope="module")
def committed() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(COMMITTED.read_text())
    return document


def test_the_committed_document_is_the_codes(tmp_path: Any) -> None:
    made = tmp_path / "openapi.yaml"
    call_command("spectacular", "--fail-on-warn", "--validate", file=str(made))
    assert COMMITTED.read_text() == made.read_text(), f"not the code's any more: {REGENERATE}"


def test_the_document_is_valid(committed: dict[str, Any]) -> None:
    OpenAPIV30SpecValidator(committed).validate()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_the_document_has_every_operation(committed: dict[str, Any]) -> None:
    one = "/api/v1/sagas/{saga_id}"
    assert [(method, path) for method, path, _ in operations(committed)] == [
        ("get", "/api/v1/sagas"),
        ("post", "/api/v1/sagas"),
        ("get", one),
        ("post", f"{one}/compensate"),
        ("get", f"{one}/events"),
        ("post", f"{one}/execute"),
        ("post", f"{one}/retry"),
        ("get", "/health"),
        ("get", "/health/live"),
        ("get", "/health/ready"),
        ("get", "/metrics"),
    ]


def test_every_operation_is_described(committed: dict[str, Any]) -> None:
    ids = []
    for _, path, operation in operations(committed):
        ids.append(operation["operationId"])
        assert operation["description"]
        for parameter in operation.get("parameters", []):
            if parameter["name"] == "saga_id":
                assert parameter["schema"] == {"type": "string", "format": "uuid"}
            else:
                assert parameter["description"], parameter
        body = operation.get("requestBody", {"content": {"application/json": {}}})
        assert list(body["content"]) == ["application/json"]
        for status, response in operation["responses"].items():
            assert response["description"]
            error = status >= "4" and "health" not in path
            assert list(response["content"]) == [PROBLEM] or not error
    assert len(set(ids)) == len(ids)


def test_every_error_has_its_statuses(committed: dict[str, Any]) -> None:
    statuses = {
        operation["operationId"]: " ".join(sorted(operation["responses"]))
        for _, path, operation in operations(committed)
        if "sagas" in path
    }
    operation = "200 202 400 401 403 404 409 413 415 429 503 default"
    assert statuses == {
        "list_sagas": "200 400 401 403 429 503 default",
        "create_saga": "201 400 401 403 413 415 422 429 503 default",
        "get_saga": "200 401 403 404 429 503 default",
        "list_saga_events": "200 401 403 404 429 503 default",
        "execute_saga": operation,
        "compensate_saga": operation,
        "retry_saga": operation,
    }


def test_headers_and_enums(committed: dict[str, Any]) -> None:
    headers = committed["paths"]["/api/v1/sagas"]["post"]["responses"]["201"]["headers"]
    assert headers.keys() == {"Location", "Idempotency-Replayed", "Preference-Applied"}
    schemas = committed["components"]["schemas"]
    states = ["pending", "in_progress", "completed", "failed", "compensated"]
    assert schemas["SagaStatus"]["enum"] == schemas["StepStatus"]["enum"] == states
    assert schemas["Operation"]["enum"] == ["execute", "compensate", "retry"]


def test_how_one_makes_oneself_known(committed: dict[str, Any]) -> None:
    schemes = committed["components"]["securitySchemes"]
    assert {(each["type"], each.get("scheme") or each["name"]) for each in schemes.values()} == {
        ("http", "bearer"),
        ("apiKey", "X-Api-Key"),
        ("apiKey", "sessionid"),
    }
    for _, path, operation in operations(committed):
        ways = [list(way) for way in operation.get("security", [])]
        known = [["apiKey"], ["apiKeyHeader"], ["session"]]
        assert ways == (known if "sagas" in path else []), path


def test_the_examples_fit_their_schemas(committed: dict[str, Any]) -> None:
    def check(content: dict[str, Any]) -> int:
        examples = content.get("examples", {}).values()
        schema = {**content["schema"], "components": committed["components"]}
        for example in examples:
            OAS30ReadValidator(schema).validate(example["value"])
        return len(examples)

    checked = 0
    for _, _, operation in operations(committed):
        for part in (operation.get("requestBody", {}), *operation["responses"].values()):
            checked += sum(check(content) for content in part.get("content", {}).values())
    assert checked >= 9


# --- The page ---------------------------------------------------------------------------------


def test_the_page_needs_nothing_from_outside() -> None:
    client = Client()
    page = client.get("/api-docs").content.decode()
    links = Links(page).found
    assert len(links) == 5
    script = links.pop()  # the page's own
    assert script == "/api-docs?script="
    page += client.get(script).content.decode()
    assert not re.findall(r"https?:|[\"'(]//|@import", page)
    for link in links:
        assert link.startswith("/static/")
        response = client.get(link)
        assert response.status_code == 200
        content = response.getvalue()
        if link.endswith(".css"):
            loaded = re.findall(rb"url\(\s*[\"']?([^)\"']+)", content)
            assert {url[:5] for url in loaded} <= {b"data:"}
            assert b"@import" not in content
        if link.endswith(".js"):
            # The addresses in the scripts are texts to show and names of XML; none is loaded.
            assert not re.findall(rb"(?:importScripts|import)\(\s*[\"']https?:", content)
    assert '"validatorUrl": null' in page  # else the page loads a badge from swagger.io
    document = client.get("/api-docs/openapi.yaml")
    assert yaml.safe_load(document.content) == yaml.safe_load(COMMITTED.read_text())


@pytest.mark.parametrize("asked", ["version=a%0D%0Ab", "version=2", "lang=zz", "lang=fr"])
def test_parameters_change_nothing_in_the_document(asked: str) -> None:
    usual, other = (Client().get(f"/api-docs/openapi.yaml?{each}") for each in ("", asked))
    assert (other.status_code, other.content) == (200, usual.content)


def test_the_document_is_made_once_for_each_prefix() -> None:
    Client().get("/api-docs/openapi.yaml")
    with patch("drf_spectacular.generators.SchemaGenerator.get_schema", side_effect=AssertionError):
        assert Client().get("/api-docs/openapi.yaml").status_code == 200
    set_script_prefix("/saga-orchestrator/")
    prefixed = Client().get("/api-docs/openapi.yaml")
    assert yaml.safe_load(prefixed.content)["servers"] == [{"url": "/saga-orchestrator"}]
