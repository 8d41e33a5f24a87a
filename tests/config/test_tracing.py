"""OpenTelemetry's variables: when spans are sent, and what is said when they cannot be."""

from __future__ import annotations

import pytest
from django.test import override_settings

from sagaproject import tracing
from sagaproject.config import Environment
from sagas import checks

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


def wanted(**values: str) -> tuple[bool, list[str]]:
    env = Environment(values)
    sent, problems = tracing.wanted(env)
    assert env.problems == [], "none of it stops the start"
    return sent, [problem.id for problem in problems]


@pytest.mark.parametrize(
    "values",
    [
        ENDPOINT,
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://collector/v1/traces"},
        {**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
        {**ENDPOINT, "OTEL_TRACES_EXPORTER": "console,otlp"},
        {**ENDPOINT, "OTEL_SDK_DISABLED": "false"},
    ],
)
def test_with_an_endpoint_spans_are_sent(values):
    assert wanted(**values) == (True, [])


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"OTEL_SERVICE_NAME": "sagas"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
        {**ENDPOINT, "OTEL_SDK_DISABLED": "TRUE"},
        {**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_without_one_or_switched_off_they_are_not(values):
    assert wanted(**values) == (False, [])


@pytest.mark.parametrize(
    ("values", "number"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "W004"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://"}, "W004"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[x"}, "W004"),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "W005"),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}, "W005"),
    ],
)
def test_what_cannot_be_sent_is_told(values, number):
    assert wanted(**values) == (False, [f"sagas.{number}"])


@pytest.mark.parametrize("module", ["opentelemetry_that_is_away.sdk", "json.away"])
def test_packages_that_are_not_installed_are_a_warning(module, monkeypatch):
    monkeypatch.setattr(tracing, "_NEEDED", (module,))
    sent, problems = tracing.wanted(Environment(ENDPOINT))
    assert not sent
    with override_settings(SAGA_TRACING_PROBLEMS=problems):
        [warning] = checks.check_tracing(None)
    assert warning.id == "sagas.W006"
    assert warning.hint == "Install them: pip install -r requirements/otel.txt"
    assert not warning.is_serious()
