"""System checks: what is wrong with the settings or a saga type stops the start."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.checks import register as register_check
from rest_framework.serializers import BaseSerializer

from executors.base import SagaExecutor, Step
from executors.quoted import plain
from executors.registry import registry
from sagas.cautions import check_deployment
from sagas.domain.definition import problems
from sagas.domain.outcome import Verdict

_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
_OF_AN_ANSWER = (Verdict.SUCCEEDED, Verdict.REFUSED, Verdict.NOT_APPLIED, Verdict.IN_DOUBT)


def register() -> None:
    """Have Django run these checks."""
    register_check(check_settings)
    register_check(check_executors)
    register_check(check_tracing)
    register_check(check_deployment)


def check_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Variables that are missing, wrong, or contradict each other (sagas.E001 to E016)."""
    return [_error(found.id, found.message, found.hint) for found in settings.SAGA_CONFIG_PROBLEMS]


def check_tracing(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """What keeps spans from being sent although they are wanted (sagas.W004 to W006)."""
    problems = settings.SAGA_TRACING_PROBLEMS
    return [Warning(each.message, hint=each.hint, id=each.id) for each in problems]


def check_executors(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Saga types that cannot run (sagas.E020 to E030)."""
    executors = registry.all()
    found = [_error(misfit.id, misfit.message, misfit.hint) for misfit in registry.misfits]
    for executor in executors:
        found += check_executor(executor)
    return [*found, *_without_address(executors)]


def check_executor(executor: SagaExecutor) -> list[CheckMessage]:
    """What is wrong with one saga type, whatever the participants' addresses are."""
    name = type(executor).__name__
    return [
        *(
            _error("sagas.E020", f"{name}: {why}.", "See its table of steps.")
            for why in problems(executor.definition)
        ),
        *_wrong_names(executor),
        *_wrong_serializers(executor),
        *_wrong_secrets(executor),
        *_wrong_methods(executor),
        *(found for step in executor.steps for found in _wrong_limits(name, step)),
    ]


def _wrong_names(executor: SagaExecutor) -> Iterator[CheckMessage]:
    """Names are stored, sent in headers and used as methods; versions are counted."""
    name = type(executor).__name__
    names = [executor.saga_type]
    for step in executor.steps:
        names += [step.name, step.participant, *filter(None, [step.compensation])]
    for wrong in dict.fromkeys(text for text in names if not _is_name(text)):
        yield _error(
            "sagas.E028",
            f"{name}: {wrong!r} is not a name.",
            "A name is of small letters, digits and underscores, at most 100 of them.",
        )
    version: object = executor.version
    if not isinstance(version, int) or not 1 <= version < 2**31:
        yield _error("sagas.E028", f"{name}: {version!r} is not a version.", "Count from 1.")


def _is_name(text: object) -> bool:
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def _wrong_serializers(executor: SagaExecutor) -> Iterator[CheckMessage]:
    name = type(executor).__name__
    if not _is_serializer(getattr(executor, "data", None)):
        yield _error(
            "sagas.E021",
            f"{name} has no serializer for its data.",
            "Set `data` to a serializer class.",
        )
    for step in executor.steps:
        if step.answer is not None and not _is_serializer(step.answer):
            yield _error(
                "sagas.E021",
                f"{name}: the answer of step {step.name!r} is not a serializer class.",
                "Leave it out if nothing of the answer matters.",
            )


def _wrong_secrets(executor: SagaExecutor) -> Iterator[CheckMessage]:
    """A text alone would be taken for its letters, and what is no name would hide nothing."""
    secrets: object = executor.secrets
    if isinstance(secrets, tuple | list) and all(map(_is_field, secrets)):
        return
    yield _error(
        "sagas.E030",
        f"{type(executor).__name__}: `secrets` is not a tuple of names of fields.",
        'Write `secrets = ("card_number",)`, with a comma also after a single name.',
    )


def _is_field(name: object) -> bool:
    return isinstance(name, str) and plain(name) != ""


def _is_serializer(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, BaseSerializer)


def _wrong_methods(executor: SagaExecutor) -> Iterator[CheckMessage]:
    name = type(executor).__name__
    calls = [call for step in executor.steps for call in (step.name, step.compensation) if call]
    for call in dict.fromkeys(calls):
        method = getattr(executor, call, None)
        if hasattr(SagaExecutor, call) or call in vars(executor):
            why = f"{name}: {call!r} is a name that every saga type has already."
            yield _error("sagas.E022", why, "Choose another name for the step.")
        elif not callable(method) or not _takes_a_saga(method):
            why = f"{name} names {call!r}, but has no method of that name that takes a saga."
            hint = f"Write `def {call}(self, saga: SagaView) -> Request`."
            yield _error("sagas.E022", why, hint)


def _takes_a_saga(method: Callable[..., Any]) -> bool:
    try:
        inspect.signature(method).bind(None)
    except TypeError:
        return False
    return True


def _wrong_limits(name: str, step: Step) -> Iterator[CheckMessage]:
    limit = settings.SAGA_LEASE - 1
    if step.timeout is not None and step.timeout > limit:
        yield _error(
            "sagas.E024",
            f"{name}: step {step.name!r} may take longer than the {limit:g} s that are allowed.",
            "A call must end a second before its lease does: SAGA_LEASE_MS says when.",
        )
    for status, verdict in step.verdicts.items():
        if status not in range(200, 600) or verdict not in _OF_AN_ANSWER:
            yield _error(
                "sagas.E029",
                f"{name}: step {step.name!r} takes the status {status} for {verdict}.",
                f"Statuses are from 200 to 599, verdicts {', '.join(_OF_AN_ANSWER)}.",
            )


def _without_address(executors: Iterable[SagaExecutor]) -> Iterator[CheckMessage]:
    """One message a participant, however many steps call it."""
    callers: dict[str, set[str]] = {}
    for executor in executors:
        for step in executor.steps:
            if _is_name(step.participant) and step.participant not in settings.SAGA_PARTICIPANTS:
                callers.setdefault(step.participant, set()).add(type(executor).__name__)
    for participant, names in callers.items():
        yield _error(
            "sagas.E023",
            f"{' and '.join(sorted(names))}: the participant {participant!r} has no address.",
            f"Set PARTICIPANT_{participant.upper()}_URL.",
        )


def _error(number: str, message: str, hint: str) -> CheckMessage:
    return Error(message, hint=hint or None, id=number)
