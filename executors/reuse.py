"""Validating by serializers that are made once: to make one takes longer than to use it.

Django REST framework has a serializer made for each request, with copies of all its fields, as code
of its own may keep in it what belongs to one request. Where all code is the framework's, or that
of `executors.fields`, validating keeps nothing, and one serves all requests.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from types import BuiltinFunctionType, FunctionType
from typing import Any

from rest_framework import serializers

_Serializer = serializers.Serializer[Any]

_KEEP_NOTHING = frozenset(
    {"builtins", "executors.fields", "rest_framework.fields", "rest_framework.serializers"}
)
_FIXED = (str, int, float, Decimal, type(None), type, FunctionType, BuiltinFunctionType)
_SEEN_TO = frozenset({"child", "help_text", "label", "validators"})
"""What is given to fields and either looked at by itself, never copied, or for readers alone."""


def checked(kind: type[_Serializer], data: Any) -> tuple[_Serializer, Any]:
    """The validated data, and a serializer of that class. Raises ValidationError."""
    serializer = _of_all(kind)
    if serializer is not None:
        try:
            return serializer, serializer.run_validation(data)
        except serializers.ValidationError:
            pass  # what is told of it is for one of its own to say
    serializer = kind(data=data)
    serializer.is_valid(raise_exception=True)
    return serializer, serializer.validated_data


@lru_cache(maxsize=1000)
def _of_all(kind: type[_Serializer]) -> _Serializer | None:
    """One for all requests and threads; None where one request may leave another something."""
    if not _only_declares(kind):
        return None
    made = kind()
    return made if all(map(_keeps_nothing, _with_all_below(made))) else None


def _only_declares(kind: type[Any]) -> bool:
    """Whether the class has fields and facts, and of code only what is known to keep nothing."""
    own = (each for each in kind.__mro__ if each.__module__ not in _KEEP_NOTHING)
    return not any(map(_is_code, (value for each in own for value in vars(each).values())))


def _is_code(value: Any) -> bool:
    return hasattr(value, "__get__") or (callable(value) and not isinstance(value, type))


def _with_all_below(field: Any) -> Iterator[Any]:
    yield field
    if isinstance(field, serializers.Serializer):
        for each in field.fields.values():
            yield from _with_all_below(each)
    elif hasattr(field, "child"):
        yield from _with_all_below(field.child)


def _keeps_nothing(field: Any) -> bool:
    given = [*field._args, *(v for name, v in field._kwargs.items() if name not in _SEEN_TO)]
    # Those are handed the field, and so all that it is a part of.
    handed = (getattr(each, "requires_context", False) for each in (*given, *field.validators))
    return (
        _only_declares(type(field))
        and all(isinstance(each, _FIXED) for each in given)
        and not any(handed)
    )
