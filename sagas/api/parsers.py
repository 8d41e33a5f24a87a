"""Reading request bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework import status
from rest_framework.exceptions import APIException, ParseError, UnsupportedMediaType
from rest_framework.parsers import BaseParser

from sagas.domain import strictjson


class TooLarge(APIException):
    """The body has more bytes than are allowed."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The body is too large."
    default_code = "too_large"


class StrictJSONParser(BaseParser):
    """JSON that says one thing only and that the database can hold."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """The value of the body. Raises ParseError or TooLarge."""
        request = (parser_context or {})["request"]
        encoding = request.headers.get("Content-Encoding", "")
        if encoding.strip().lower() not in ("", "identity"):
            raise UnsupportedMediaType("", "The body must not be compressed.")
        body = _read(stream, int(request.META.get("CONTENT_LENGTH") or 0))
        try:
            return strictjson.loads(body, exact=True)
        except ValueError as error:
            raise ParseError(f"The body is not usable JSON: {error}.") from error


def _read(stream: IO[Any], length: int) -> bytes:
    """The whole body, or none of it."""
    if length > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        raise TooLarge  # before it is waited for
    body: bytes = stream.read(length)
    if len(body) < length:
        # What came may be JSON all the same, but it is not what the client meant to say.
        raise ParseError("The body ended before its Content-Length.")
    return body


class CurlJSONParser(StrictJSONParser):
    """JSON under the media type that `curl -d` sends unless told otherwise."""

    media_type = "application/x-www-form-urlencoded"
