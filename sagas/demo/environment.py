"""The environment in which the demo's processes run, whatever the person's own says."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

_SERVERS = ("DATABASE_URL", "DB_", "REDIS_", "PARTICIPANT_", "PROMETHEUS_MULTIPROC_DIR")
_SERVICE = (
    "SAGA_ENV",
    "NODE_ENV",
    "PORT",
    "DJANGO_SECRET_KEY",
    "ALLOWED_HOSTS",
    "CSRF_TRUSTED_ORIGINS",
)
"""What belongs to a real service; the demo is complete in itself and has nothing to do with it."""

_FAST = {
    "SAGA_RETRY_DELAY_MS": "200",
    "SAGA_CALL_TIMEOUT_MS": "700",
    "SAGA_LEASE_MS": "3000",
    "SAGA_SWEEP_INTERVAL_MS": "200",
}
"""So that nobody waits long; whoever sets one of them gets that instead."""

_JUDGED_BY = (
    "SAGA_EXECUTORS",
    "SAGA_MAX_RETRIES",
    "SAGA_RETRY_DELAY_MS",
    "SAGA_BACKOFF_MULTIPLIER",
    "SAGA_MAX_RETRY_DELAY_MS",
)
"""The service's own settings by which `verify` judges its sagas."""

_LINE = 90
"""Columns of the command, about; the demo's screen has 100."""


def embedded(
    environ: Mapping[str, str], *, state: str, urls: Mapping[str, str], password: str
) -> dict[str, str]:
    """The orchestrator's environment: SQLite in the state folder, no other server."""
    kept = {
        name: value
        for name, value in environ.items()
        if not name.startswith(_SERVERS) and name not in _SERVICE
    }
    return {
        **_FAST,
        **{name: value for name, value in kept.items() if value or name not in _FAST},
        "DJANGO_SETTINGS_MODULE": "sagaproject.settings",
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "LOG_FORMAT": "text",
        "SAGA_API_OPEN": "on",  # on this machine alone, and so that the tour's commands are short
        "SAGA_STATE_DIR": state,
        "SAGA_DEMO_PASSWORD": password,
        **{f"PARTICIPANT_{name.upper()}_URL": url for name, url in urls.items()},
    }


def to_verify(
    embedded: Mapping[str, str], *, state: str, urls: Mapping[str, str], known: Mapping[str, str]
) -> list[str]:
    """The command that verifies the demo, in lines for a shell that knows these participants."""
    moved = {
        f"PARTICIPANT_{name.upper()}_URL": url
        for name, url in urls.items()
        if known.get(name) != url
    }
    judged_by = {name: embedded[name] for name in _JUDGED_BY if embedded.get(name)}
    variables = {**moved, "SAGA_STATE_DIR": state, **judged_by}
    lines = [""]
    for word in (
        *(f"{name}={shlex.quote(value)}" for name, value in variables.items()),
        "./run verify --participants",
    ):
        if lines[-1] and len(lines[-1]) + len(word) > _LINE:
            lines[-1] += "\\"
            lines.append("")
        lines[-1] += f"{word} "
    return [line.rstrip() for line in lines]
