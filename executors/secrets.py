"""Secrets are hidden wherever something is shown: by the field names that executors declare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from executors.registry import registry

HIDDEN = "•••"


class Redactor:
    """Hides the values of certain fields."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def document(self, value: Any) -> Any:
        """A copy of the JSON value in which the fields of those names have no value."""
        if isinstance(value, Mapping):
            return {
                name: HIDDEN if name in self._names else self.document(below)
                for name, below in value.items()
            }
        if isinstance(value, list):
            return [self.document(below) for below in value]
        return value

    def text(self, text: str, *documents: Any) -> str:
        """The text without the secret values that the documents hold."""
        return text


def redactor(saga_type: str) -> Redactor:
    """What hides the secrets of sagas of that type, in all versions that the code knows."""
    known = (each for each in registry.all() if each.saga_type == saga_type)
    return Redactor(frozenset(name for each in known for name in each.secrets))
