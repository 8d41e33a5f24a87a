"""Holds an answer to the committed OpenAPI document: status, media type, headers and body."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml
from openapi_schema_validator import OAS30ReadValidator, oas30_format_checker

COMMITTED = Path(__file__).resolve().parents[2] / "openapi.yaml"


_ANY_TIME = (403, 405, 406, 411, 500)
"""Statuses that the document calls "any other error"."""


class Contract:
    """The document; its objects have no members but those that it names."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = yaml.safe_load(COMMITTED.read_text())
        self._components = self.document["components"]
        for schema in self._components["schemas"].values():
            if "properties" in schema:
                schema["additionalProperties"] = False

    def check(
        self, method: str, path: str, status: int, headers: dict[str, str], body: bytes
    ) -> None:
        """Fail if the operation may not answer so."""
        expected = self._response(method, path, status)
        media_type, _, _ = headers.get("content-type", "").partition(";")
        assert list(expected["content"]) == [media_type], f"{status} as {media_type}"
        self._check_body(expected["content"][media_type]["schema"], media_type, body)
        for name, header in expected.get("headers", {}).items():
            if name.lower() in headers:
                value: Any = headers[name.lower()]
                kind = header["schema"]["type"]
                self._validate(int(value) if kind == "integer" else value, header["schema"])

    def _response(self, method: str, path: str, status: int) -> dict[str, Any]:
        problem = {"$ref": "#/components/schemas/Problem"}
        anything = {"content": {"application/problem+json": {"schema": problem}}}
        operation = self._operation(method, path)
        if operation is None:
            return anything  # no such address or method: a problem all the same
        responses: dict[str, Any] = operation["responses"]
        assert str(status) in responses or status in _ANY_TIME, f"undocumented {status}"
        found: dict[str, Any] = responses.get(str(status), anything)
        return found

    def _operation(self, method: str, path: str) -> dict[str, Any] | None:
        for template, operations in self.document["paths"].items():
            if re.fullmatch(re.sub(r"\{\w+\}", "[0-9a-f-]{36}", template), path):
                found: dict[str, Any] | None = operations.get(method.lower())
                return found
        return None

    def _check_body(self, schema: dict[str, Any], media_type: str, body: bytes) -> None:
        self._validate(json.loads(body) if media_type.endswith("json") else body.decode(), schema)

    def _validate(self, value: Any, schema: dict[str, Any]) -> None:
        whole = {**schema, "components": self._components}
        OAS30ReadValidator(whole, format_checker=oas30_format_checker).validate(value)
