"""The WSGI application."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sagaproject.settings")

_GATEWAY_PREFIXES = ("/saga-orchestrator", "/saga")


class GatewayPaths:
    """Serves the gateway's paths without a gateway.

    The documented addresses are those of a gateway that takes `/saga-orchestrator` or `/saga`
    off the path. With the prefix as SCRIPT_NAME every link that is made carries it again;
    so it does for a gateway that names what it took off in X-Forwarded-Prefix.
    """

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        forwarded = environ.get("HTTP_X_FORWARDED_PREFIX", "")
        for prefix in _GATEWAY_PREFIXES:
            if path.startswith(prefix + "/"):
                environ["SCRIPT_NAME"], environ["PATH_INFO"] = prefix, path[len(prefix) :]
                break
            if forwarded == prefix:
                environ["SCRIPT_NAME"] = prefix
        if (client := environ.get("gunicorn.socket")) is not None:
            # Else a client that announces a body and sends none keeps a thread for ever.
            client.settimeout(settings.SAGA_CLIENT_TIMEOUT)
        answer = self._application(environ, start_response)
        if environ.get("REQUEST_METHOD") == "HEAD":
            return _headers_only(answer)
        return answer


def _headers_only(answer: Iterable[bytes]) -> Iterable[bytes]:
    """No body, as HEAD wants it: gunicorn would drop it, and log a warning each time."""
    close = getattr(answer, "close", None)
    if close is not None:
        close()
    return []


application = GatewayPaths(get_wsgi_application())
