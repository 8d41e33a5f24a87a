"""What people may do for a saga that is stuck: resolve a doubt, skip a step, edit the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from executors.base import Refusal, SagaExecutor
from executors.registry import registry
from sagas import selectors
from sagas.domain import triggers as tr
from sagas.domain.rules import Call, call_to_skip, doubts_to_resolve, may_edit
from sagas.domain.state import Direction, Json
from sagas.models import Saga
from sagas.services.creating import InvalidData, validated
from sagas.services.reading import code_and_state


@dataclass(frozen=True, kw_only=True, slots=True)
class Mendable:
    """What a person may do for the saga now, beside the operations."""

    doubts: tuple[str, ...] = ()
    """The steps of which it may be said whether they took effect."""

    skip: Call | None = None
    """The call that may be skipped."""

    edit: bool = False
    """Whether the data may be changed."""


def mendable(saga: Saga) -> Mendable:
    """What may be mended; nothing without the code of the saga's steps."""
    known = code_and_state(saga)
    if known is None:
        return Mendable()
    executor, state = known
    return Mendable(
        doubts=doubts_to_resolve(state),
        skip=call_to_skip(executor.definition, state),
        edit=may_edit(state),
    )


def edits(saga: Saga) -> int:
    """How often people edited the saga's data."""
    return selectors.saga_events(saga.id).filter(kind="data_edited").count()


def resolution(
    saga: Saga, step: str, *, applied: bool, evidence: str, output: Any = None
) -> tr.Resolve:
    """What says that the step took effect, or did not. Raises InvalidData for the output.

    Going forward, later steps read what the participant would have answered: it must be given.
    """
    checked = _output(saga, step, output) if applied else None
    return tr.Resolve(step=step, applied=applied, evidence=evidence, output=checked)


def skipping(saga: Saga, step: str, output: Any = None) -> tr.Skip:
    """What has the step skipped. Raises InvalidData for the output, as for a resolution."""
    return tr.Skip(step=step, output=_output(saga, step, output))


def output_fields(saga: Saga, step: str) -> list[str]:
    """The fields that an output of the step has, as far as its code says."""
    executor = _code(saga)
    answer = executor.step(step).answer if executor is not None else None
    return [*answer().fields] if answer is not None else []


def editing(saga: Saga, data: Any) -> tr.EditData:
    """What gives the saga this data instead of its own. Raises InvalidData."""
    executor = _code(saga)
    kept = data if executor is None else validated(executor, data)
    return tr.EditData(data=kept, before=saga.data)


def _code(saga: Saga) -> SagaExecutor | None:
    return registry.find(saga.type, saga.definition_version)


def _output(saga: Saga, name: str, output: Any) -> Json | None:
    """The output as the step's serializer keeps it; None if none is given, and none is needed.

    Raises InvalidData.
    """
    executor = _code(saga)
    answer = executor.step(name).answer if executor is not None and name else None
    if output is None:
        forward = saga.direction == Direction.FORWARD.value
        if answer is not None and forward and executor and executor.steps[-1].name != name:
            raise InvalidData(
                {"output": [_("Later steps read it: what would have been answered?")]}
            )
        return None
    if not isinstance(output, Mapping):
        raise InvalidData({"output": [_("It is not a JSON object.")]})
    if answer is None:
        return dict(output)
    serializer = answer(data=output)
    try:
        if not serializer.is_valid():
            raise InvalidData(serializer.errors)
    except Refusal as refusal:
        why = _("The participant would have said no: %(why)s") % {"why": refusal}
        raise InvalidData({"output": [why]}) from None
    return dict(serializer.to_representation(serializer.validated_data))
