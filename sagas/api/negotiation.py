"""Media types of answers, where a view's data does not decide them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework.metadata import SimpleMetadata
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request

if TYPE_CHECKING:  # the views read this module's name from the settings
    from rest_framework.views import APIView


class PlainTextRenderer(BaseRenderer):
    """Lets clients ask for plain text; the view writes it itself."""

    media_type = "text/plain"
    format = "txt"


class JSONMetadata(SimpleMetadata):
    """What OPTIONS tells, as JSON even where a view gives HTML or plain text."""

    def determine_metadata(self, request: Request, view: APIView) -> dict[str, Any]:
        """The view's name, description and media types."""
        request.accepted_renderer = JSONRenderer()
        request.accepted_media_type = JSONRenderer.media_type
        told: dict[str, Any] = super().determine_metadata(request, view)
        return told
