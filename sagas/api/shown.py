"""The API's documents without the values that saga types declare secret."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from executors.secrets import Redactor, hiding, redactor
from sagas import services
from sagas.models import Saga, SagaEvent

_REASONS = ("reason", "waiting")


def summary(document: dict[str, Any], of: Saga) -> dict[str, Any]:
    """A saga in a list; its steps are not read."""
    hide = redactor(of.type)
    if hide.idle:
        return document
    return document | _told(hide.knowing(of.data), document, _REASONS)


def saga(document: dict[str, Any], of: Saga) -> dict[str, Any]:
    """A saga with its steps."""
    hide = hiding(of)
    if hide.idle:
        return document
    told = _told(hide, document, (*_REASONS, "error"))
    steps = [step | _step(hide, step) for step in document["steps"]]
    return document | told | {"data": hide.document(document["data"]), "steps": steps}


def _step(hide: Redactor, step: Mapping[str, Any]) -> dict[str, Any]:
    output = step["output"]
    shown = None if output is None else hide.document(output)
    return {"output": shown, **_told(hide, step, ["error"])}


def _told(hide: Redactor, document: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: hide.told(document[name]) for name in names}


def event(document: dict[str, Any], hide: Redactor) -> dict[str, Any]:
    """An event."""
    if hide.idle:
        return document
    return document | {
        "reason": hide.text(document["reason"]),
        "data": hide.event(document["data"]),
    }


def hiding_of(events: Sequence[SagaEvent]) -> Redactor:
    """What hides the secrets of the saga whose whole history these events are.

    Where its type has none, the first event is enough to know. Raises SagaNotFound.
    """
    created = events[0].data if isinstance(events[0].data, dict) else {}
    hide = redactor(str(created.get("saga_type")))
    return hiding(services.get_saga(events[0].saga_id), events) if hide.learns else hide
