"""Makes up an answer that a step's serializer accepts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rest_framework import serializers

_SAMPLES: tuple[tuple[type[Any], Callable[[Any, str], Any]], ...] = (
    (serializers.ListSerializer, lambda field, text: [_sample(field.child, text)]),
    (serializers.BaseSerializer, lambda field, text: sample(type(field), text)),
    (serializers.ListField, lambda field, text: [_sample(field.child, text)]),
    (serializers.DictField, lambda field, text: {"key": _sample(field.child, text)}),
    (serializers.BooleanField, lambda field, text: True),
    (serializers.DecimalField, lambda field, text: str(_number(field))),
    (serializers.IntegerField, lambda field, text: _number(field)),
    (serializers.FloatField, lambda field, text: _number(field)),
    (serializers.DateTimeField, lambda field, text: "2026-01-01T00:00:00Z"),
    (serializers.DateField, lambda field, text: "2026-01-01"),
    (serializers.TimeField, lambda field, text: "00:00:00"),
    (serializers.DurationField, lambda field, text: "00:00:01"),
    (serializers.UUIDField, lambda field, text: "00000000-0000-4000-8000-000000000000"),
    (serializers.EmailField, lambda field, text: "someone@example.com"),
    (serializers.URLField, lambda field, text: "https://example.com/"),
    (serializers.IPAddressField, lambda field, text: "192.0.2.1"),
    (serializers.ChoiceField, lambda field, text: next(iter(field.choices))),
    (serializers.CharField, lambda field, text: text[: field.max_length or None]),
)
"""The first class that a field belongs to says what it gets; more special ones come first."""


class NoSample(Exception):
    """The serializer wants something that cannot be guessed."""


def sample(answer: type[serializers.Serializer[Any]] | None, text: str) -> dict[str, Any]:
    """An answer with `text` in its text fields; empty without a serializer. Raises NoSample."""
    if answer is None:
        return {}
    made = {
        name: _sample(field, text)
        for name, field in answer().fields.items()
        if not field.read_only and field.required
    }
    try:
        checked = answer(data=made)
        errors: object = None if checked.is_valid() else checked.errors
    except Exception as error:  # whatever a validator of the saga's author raises
        errors = error
    if errors:
        raise NoSample(f"{answer.__name__} does not accept {made}: {errors}")
    return made


def _sample(field: Any, text: str) -> Any:
    for cls, make in _SAMPLES:
        if isinstance(field, cls):
            return make(field, text)
    return text


def _number(field: Any) -> Any:
    least = getattr(field, "min_value", None)
    return 1 if least is None else max(least, 1)
