"""A saga's id in an address."""

from __future__ import annotations

from django.urls import register_converter
from django.urls.converters import UUIDConverter


class SagaIdConverter(UUIDConverter):
    """A UUID in upper or lower case (RFC 9562: both are read, the lower one is written)."""

    regex = "[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"


register_converter(SagaIdConverter, "saga_id")
