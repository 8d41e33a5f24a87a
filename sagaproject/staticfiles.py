"""Static files behind a gateway."""

from __future__ import annotations

from django.contrib.staticfiles.storage import StaticFilesStorage
from django.urls import get_script_prefix


class GatewayStorage(StaticFilesStorage):
    """Links to static files with the prefix that the gateway took off the request's path.

    Django adds a script prefix to STATIC_URL at most once per process, but here it is a
    matter of the request: the same process answers with a prefix and without.
    """

    def url(self, name: str | None, **kwargs: object) -> str:
        return get_script_prefix().rstrip("/") + super().url(name)
