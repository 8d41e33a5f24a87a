"""System checks: what can run, but should not be deployed so."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Warning

from executors.registry import registry


def check_deployment(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Settings that are open, useless or unsafe (sagas.W001 to W003)."""
    production = settings.ENVIRONMENT == "production"
    found = list(_useless_credentials())
    if production:
        found += [*_any_host(), *_shown_credentials()]
    return found


def _any_host() -> Iterator[CheckMessage]:
    if "*" in settings.ALLOWED_HOSTS:
        yield Warning(
            "ALLOWED_HOSTS is `*`: whoever asks chooses the host in redirects and links.",
            hint="Name the hosts under which clients know the service; health checks and "
            "Prometheus may ask by any.",
            id="sagas.W001",
        )


def _useless_credentials() -> Iterator[CheckMessage]:
    used = {step.participant for executor in registry.all() for step in executor.steps}
    for name in sorted(settings.SAGA_AUTHORIZATIONS.keys() - used):
        yield Warning(
            f"PARTICIPANT_{name.upper()}_AUTHORIZATION is set, but no saga type calls {name!r}.",
            hint="Look for a misspelt name; a secret that nothing needs is better not there.",
            id="sagas.W002",
        )


def _shown_credentials() -> Iterator[CheckMessage]:
    for name in sorted(settings.SAGA_AUTHORIZATIONS):
        url = urlsplit(settings.SAGA_PARTICIPANTS.get(name, ""))
        if url.scheme == "http" and not _is_this_machine(url.hostname or ""):
            yield Warning(
                f"PARTICIPANT_{name.upper()}_AUTHORIZATION goes to an http address, for all on "
                "the way to read.",
                hint=f"Give PARTICIPANT_{name.upper()}_URL an https address.",
                id="sagas.W003",
            )


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
