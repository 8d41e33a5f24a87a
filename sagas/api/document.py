"""Serves the OpenAPI document, which is made once: making it costs more than any other answer."""

from __future__ import annotations

from functools import lru_cache
from threading import Lock
from typing import Any

from django.http import HttpResponse
from django.urls import get_script_prefix
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request

_making = Lock()  # its maker's first look at itself is not made for two threads


class DocumentView(SpectacularAPIView):
    """The document in YAML or JSON, as Accept says; parameters change nothing in it."""

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        """The document for the prefix under which it is asked for."""
        renderer: Any = type(request.accepted_renderer)
        with _making:
            document = _made(get_script_prefix(), renderer)
        return HttpResponse(
            document,
            content_type=f"{renderer.media_type}; charset=utf-8",
            headers={"Content-Disposition": f'inline; filename="saga.{renderer.format}"'},
        )


@lru_cache(maxsize=16)
def _made(prefix: str, renderer: Any) -> Any:
    """The document with the addresses of the thread's prefix."""
    generator: Any = DocumentView.generator_class()
    return renderer().render(generator.get_schema(public=True), renderer_context={})
