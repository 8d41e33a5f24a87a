"""System checks: what is wrong with the settings or a saga type stops the start."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import register as register_check

from executors.base import SagaExecutor
from executors.registry import registry
from sagas.domain.definition import problems


def register() -> None:
    """Have Django run these checks."""
    register_check(check_settings)
    register_check(check_executors)


def check_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Variables that are missing, wrong, or contradict each other (sagas.E001 to E010)."""
    return [
        Error(problem.message, hint=problem.hint or None, id=problem.id)
        for problem in settings.SAGA_CONFIG_PROBLEMS
    ]


def check_executors(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Saga types that cannot run (sagas.E020 to E025)."""
    return [message for executor in registry.all() for message in check_executor(executor)]


def check_executor(executor: SagaExecutor) -> list[CheckMessage]:
    """What is wrong with one saga type."""
    name = type(executor).__name__
    found: list[CheckMessage] = [
        Error(f"{name}: {why}.", hint="See its table of steps.", id="sagas.E020")
        for why in problems(executor.definition)
    ]
    if getattr(executor, "data", None) is None:
        found.append(
            Error(
                f"{name} has no serializer for its data.",
                hint="Set `data` to a serializer class.",
                id="sagas.E021",
            )
        )
    for step in executor.steps:
        found += _missing_methods(executor, step.name, step.compensation)
        if step.participant not in settings.SAGA_PARTICIPANTS:
            found.append(
                Error(
                    f"{name}: step {step.name!r} calls {step.participant!r}, which has no address.",
                    hint=f"Set PARTICIPANT_{step.participant.upper()}_URL.",
                    id="sagas.E023",
                )
            )
        limit = settings.SAGA_LEASE - 1
        if step.definition().timeout.total_seconds() > limit:
            found.append(
                Error(
                    f"{name}: step {step.name!r} may take longer than the lease lasts.",
                    hint=f"At most SAGA_LEASE_MS less one second are allowed: {limit:g} s.",
                    id="sagas.E024",
                )
            )
    return found


def _missing_methods(executor: SagaExecutor, *names: str) -> list[CheckMessage]:
    return [
        Error(
            f"{type(executor).__name__} names {name!r}, but has no such method.",
            hint=f"Write `def {name}(self, saga: SagaView) -> Request`.",
            id="sagas.E022",
        )
        for name in names
        if name and not callable(getattr(executor, name, None))
    ]
