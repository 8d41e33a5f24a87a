"""Whether spans are sent to a collector: OpenTelemetry's own variables, and its packages."""

from __future__ import annotations

from importlib.util import find_spec
from urllib.parse import urlsplit

from sagaproject.config import Environment, Problem

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


def wanted(env: Environment) -> tuple[bool, list[Problem]]:
    """Whether spans are to be sent, and what stands against it.

    These are warnings: nobody's saga is to wait for how it is watched.
    """
    named = next((name for name in _ENDPOINTS if env.text(name)), "")
    exporters = env.names("OTEL_TRACES_EXPORTER", "otlp")
    if not named or env.text("OTEL_SDK_DISABLED").lower() == "true" or "otlp" not in exporters:
        return False, []
    found = [*_of_the_endpoint(env, named), *_of_the_protocol(env), *_of_the_packages(named)]
    return not found, found


def _of_the_endpoint(env: Environment, name: str) -> list[Problem]:
    try:
        address = urlsplit(env.text(name))
        fits = address.scheme in ("http", "https") and bool(address.hostname)
    except ValueError:
        fits = False
    message = f"{name} is not an http or https address."
    return [] if fits else [Problem("sagas.W004", message, "It looks like http://collector:4318.")]


def _of_the_protocol(env: Environment) -> list[Problem]:
    named = next((name for name in _PROTOCOLS if env.text(name)), "")
    if not named or env.text(named) == "http/protobuf":
        return []
    hint = "Set it to http/protobuf, and the endpoint to the collector's port for that (4318)."
    return [
        Problem("sagas.W005", f"{named} is not http/protobuf, which is all that is sent.", hint)
    ]


def _of_the_packages(endpoint: str) -> list[Problem]:
    if all(map(_installed, _NEEDED)):
        return []
    message = f"{endpoint} is set, but OpenTelemetry's packages are not installed."
    return [Problem("sagas.W006", message, "Install them: pip install -r requirements/otel.txt")]


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even what it is in
        return False
