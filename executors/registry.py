"""The saga types that this process knows, from the modules that the setting names."""

from __future__ import annotations

from importlib import import_module
from inspect import getmembers, isclass

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from executors.base import SagaExecutor


class Registry:
    """Executors by saga type and version."""

    def __init__(self) -> None:
        self._executors: dict[tuple[str, int], SagaExecutor] = {}

    def register(self, cls: type[SagaExecutor]) -> None:
        """Add a saga type. Raises ImproperlyConfigured if its name and version are taken."""
        key = (cls.saga_type, cls.version)
        known = self._executors.get(key)
        if known is not None and type(known) is not cls:
            raise ImproperlyConfigured(
                f"{cls.__name__} and {type(known).__name__} both declare version {cls.version} "
                f"of {cls.saga_type!r}"
            )
        self._executors[key] = cls()

    def load(self) -> None:
        """Register every executor of the modules in SAGA_EXECUTORS."""
        for name in settings.SAGA_EXECUTORS:
            module = import_module(name)
            for _, cls in getmembers(module, isclass):
                if issubclass(cls, SagaExecutor) and cls.saga_type and cls.__module__ == name:
                    self.register(cls)

    def find(self, saga_type: str, version: int) -> SagaExecutor | None:
        """The executor of that version, if this process knows it."""
        return self._executors.get((saga_type, version))

    def newest(self, saga_type: str) -> SagaExecutor | None:
        """The executor that new sagas of this type get."""
        versions = [version for name, version in self._executors if name == saga_type]
        return self._executors[saga_type, max(versions)] if versions else None

    def types(self) -> list[str]:
        """The names of the saga types, in order."""
        return sorted({name for name, _ in self._executors})

    def all(self) -> list[SagaExecutor]:
        """Every executor of every version."""
        return [self._executors[key] for key in sorted(self._executors)]


registry = Registry()
