"""The environment in which the demo's processes run, whatever the person's own says."""

from __future__ import annotations

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
        "SAGA_STATE_DIR": state,
        "SAGA_DEMO_PASSWORD": password,
        **{f"PARTICIPANT_{name.upper()}_URL": url for name, url in urls.items()},
    }
