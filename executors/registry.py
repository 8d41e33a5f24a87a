"""The saga types that this process knows, from the modules that the setting names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from inspect import getmembers, isclass
from types import ModuleType

from django.conf import settings

from executors.base import SagaExecutor


@dataclass(frozen=True, slots=True)
class Misfit:
    """Something in SAGA_EXECUTORS that is not a saga type; a system check tells of it."""

    id: str
    message: str
    hint: str


class Registry:
    """Executors by saga type and version."""

    def __init__(self) -> None:
        self._executors: dict[tuple[str, int], SagaExecutor] = {}
        self._of_type: dict[str, list[SagaExecutor]] = {}
        self.misfits: list[Misfit] = []

    def load(self) -> None:
        """Register every executor of the modules in SAGA_EXECUTORS, in the place of all others.

        Nothing is raised: the process that only checks its settings must get as far as that.
        """
        self._executors, self._of_type, self.misfits = {}, {}, []
        for name in settings.SAGA_EXECUTORS:
            try:
                module = import_module(name)
            except Exception as error:
                self._refuse(
                    "E025",
                    f"SAGA_EXECUTORS names {name!r}, which does not load: {_line(error)}",
                    f"`python -c 'import {name}'` shows where.",
                )
            else:
                self._load_from(module)

    def register(self, cls: type[SagaExecutor]) -> None:
        """Add a saga type, unless it cannot be one."""
        try:
            executor = cls()
            if not isinstance(cls.saga_type, str) or not isinstance(cls.version, int):
                raise TypeError("saga_type is a text, and version a whole number")
        except Exception as error:
            self._refuse(
                "E026", f"{cls.__name__} cannot be read: {_line(error)}", "See its table of steps."
            )
            return
        known = self._executors.setdefault((cls.saga_type, cls.version), executor)
        if known is executor:
            self._of_type.setdefault(cls.saga_type, []).append(executor)
        if type(known) is not cls:
            self._refuse(
                "E027",
                f"{type(known).__name__} and {cls.__name__} both declare version {cls.version} "
                f"of {cls.saga_type!r}.",
                "Give the newer one the next version.",
            )

    def find(self, saga_type: str, version: int) -> SagaExecutor | None:
        """The executor of that version, if this process knows it."""
        return self._executors.get((saga_type, version))

    def newest(self, saga_type: str) -> SagaExecutor | None:
        """The executor that new sagas of this type get."""
        versions = [version for name, version in self._executors if name == saga_type]
        return self._executors[saga_type, max(versions)] if versions else None

    def versions(self, saga_type: str) -> Sequence[SagaExecutor]:
        """The executors of all versions of that type; none if it is not known."""
        return self._of_type.get(saga_type, ())

    def types(self) -> list[str]:
        """The names of the saga types, in order."""
        return sorted({name for name, _ in self._executors})

    def all(self) -> list[SagaExecutor]:
        """Every executor of every version."""
        return [self._executors[key] for key in sorted(self._executors)]

    def _load_from(self, module: ModuleType) -> None:
        name = module.__name__
        own = [cls for _, cls in getmembers(module, isclass) if cls.__module__ == name]
        found = [cls for cls in own if issubclass(cls, SagaExecutor) and cls.saga_type]
        for cls in found:
            self.register(cls)
        if not found:
            self._refuse(
                "E025",
                f"SAGA_EXECUTORS names {name!r}, which declares no saga type.",
                "A saga type is a subclass of SagaExecutor with a `saga_type`.",
            )

    def _refuse(self, number: str, message: str, hint: str) -> None:
        self.misfits.append(Misfit(f"sagas.{number}", message, hint))


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}."


registry = Registry()
