"""The API's documents."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from executors.fields import Flag, StrictSerializer, Text
from executors.secrets import HIDDEN
from sagas import services
from sagas.api import documents, shown
from sagas.domain.state import Direction, Effect, Operation, SagaStatus, StepStatus
from sagas.models import Saga, SagaEvent, SagaStep

SAGA_STATUSES = [
    (SagaStatus.PENDING.value, "created, not started"),
    (SagaStatus.IN_PROGRESS.value, "being executed or compensated; `direction` says which"),
    (SagaStatus.COMPLETED.value, "every action succeeded"),
    (SagaStatus.FAILED.value, "stopped, a person must decide; `reason` says why"),
    (SagaStatus.COMPENSATED.value, "every effect was taken back"),
]
STEP_STATUSES = [
    (StepStatus.PENDING.value, "not started"),
    (StepStatus.IN_PROGRESS.value, "its action or its compensation is under way"),
    (StepStatus.COMPLETED.value, "its action succeeded"),
    (StepStatus.FAILED.value, "its action or its compensation failed"),
    (StepStatus.COMPENSATED.value, "its effect was taken back"),
]
DIRECTIONS = [
    (Direction.FORWARD.value, "actions, in order"),
    (Direction.COMPENSATING.value, "compensations, the last step's first"),
]
OPERATIONS = [
    (Operation.EXECUTE.value, "start"),
    (Operation.COMPENSATE.value, "take back what was done"),
    (Operation.RETRY.value, "try again"),
]
HEALTH = [
    ("ok", "all is well"),
    ("degraded", "it serves, but not as usual"),
    ("unavailable", "the database is away"),
    ("stopping", "it serves, but is about to end"),
]
PART_HEALTH = [
    ("ok", "answers"),
    ("away", "does not answer"),
    ("read_only", "answers, and refuses every change"),
]


_HIDDEN = f"Fields that the saga type declares secret have the value `{HIDDEN}`."


@extend_schema_field(OpenApiTypes.OBJECT)
class JSONObject(serializers.JSONField):
    """A JSON object whose members depend on the saga type or the step."""


class _RowSerializer(serializers.ModelSerializer[Any]):
    """A row of a table; its JSON columns hold objects."""

    serializer_field_mapping: ClassVar = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.JSONField: JSONObject,
    }


class CreateSagaSerializer(StrictSerializer):
    """A saga to be created."""

    type = Text(max_length=100, help_text="The name of a saga type.")
    data = JSONObject(help_text="What this saga type asks for.")  # type: ignore[assignment]
    execute = Flag(
        default=False, help_text="Start it at once, which takes the scope `execute` as well."
    )


class OperationSerializer(StrictSerializer):
    """Why an operation is asked for."""

    reason = Text(
        max_length=1000,
        default="",
        allow_blank=True,
        help_text="Kept in the saga's history; U+0000 cannot be.",
    )


class StepSerializer(_RowSerializer):
    """One step in the saga's current run."""

    status = serializers.ChoiceField(choices=STEP_STATUSES)
    compensation = serializers.SerializerMethodField()
    in_doubt = serializers.SerializerMethodField()

    class Meta:
        model = SagaStep
        fields = (
            "position",
            "name",
            "compensation",
            "status",
            "in_doubt",
            "attempts",
            "compensation_attempts",
            "output",
            "error",
            "started_at",
            "ended_at",
        )
        read_only_fields = fields
        extra_kwargs: ClassVar = {
            "position": {"help_text": "Counted from 1."},
            "attempts": {"help_text": "Calls of its action, counted anew by a retry."},
            "compensation_attempts": {"help_text": "Calls of its compensation."},
            "output": {"help_text": f"What the participant's answer gave later steps. {_HIDDEN}"},
            "error": {"help_text": "What went wrong last; empty if nothing did."},
        }

    def get_compensation(self, step: SagaStep) -> str | None:
        """The compensation's name, if the step has one."""
        return step.compensation or None

    def get_in_doubt(self, step: SagaStep) -> bool:
        """Whether the action may or may not have taken effect."""
        return step.effect == Effect.IN_DOUBT.value


class SagaSummarySerializer(_RowSerializer):
    """A saga in a list."""

    status = serializers.ChoiceField(choices=SAGA_STATUSES)
    direction = serializers.ChoiceField(choices=DIRECTIONS)

    class Meta:
        model = Saga
        fields: tuple[str, ...] = (
            "id",
            "type",
            "definition_version",
            "status",
            "direction",
            "run",
            "current_step",
            "in_doubt",
            "reason",
            "waiting",
            "due_at",
            "deadline",
            "created_at",
            "started_at",
            "ended_at",
            "updated_at",
        )
        read_only_fields = fields
        extra_kwargs: ClassVar = {
            "definition_version": {"help_text": "The version of the saga type it keeps to."},
            "run": {"help_text": "How often it has gone forward from the start."},
            "current_step": {"help_text": "The step it is at; empty when there is none."},
            "in_doubt": {"help_text": "Whether an action may or may not have taken effect."},
            "reason": {"help_text": "Why it failed or is compensated; empty if neither."},
            "waiting": {"help_text": "What it waits for, such as a retry; empty if it does not."},
            "due_at": {"help_text": "When it goes on; null when it has ended or not started."},
            "deadline": {"help_text": "When it is compensated unless it has completed by then."},
        }

    def to_representation(self, saga: Saga) -> Any:
        """The saga's facts, without secret values in its reasons."""
        return shown.summary(super().to_representation(saga), saga)


class SagaSerializer(SagaSummarySerializer):
    """A saga with its steps."""

    steps = StepSerializer(many=True)
    error = serializers.SerializerMethodField()
    allowed_operations = serializers.SerializerMethodField()

    class Meta(SagaSummarySerializer.Meta):
        fields = (
            *SagaSummarySerializer.Meta.fields,
            "trace_id",
            "data",
            "error",
            "allowed_operations",
            "steps",
        )
        read_only_fields = fields
        extra_kwargs: ClassVar = {
            **SagaSummarySerializer.Meta.extra_kwargs,
            "trace_id": {"help_text": "The W3C trace that all its calls are part of."},
            "data": {"help_text": f"What the client gave. {_HIDDEN}"},
        }

    def to_representation(self, saga: Saga) -> Any:
        """The saga's facts and documents, without secret values."""
        return shown.saga(super().to_representation(saga), saga)

    def get_error(self, saga: Saga) -> str | None:
        """Why the saga did not complete; null if nothing went wrong."""
        return documents.error(saga, list(saga.steps.all()))

    @extend_schema_field(serializers.ListField(child=serializers.ChoiceField(OPERATIONS)))
    def get_allowed_operations(self, saga: Saga) -> list[str]:
        """The operations that may be asked for now."""
        return services.allowed(saga)


class EventSerializer(_RowSerializer):
    """One recorded fact of a saga's history; the context's `hide` is of that saga."""

    class Meta:
        model = SagaEvent
        fields = ("seq", "kind", "step", "at", "actor", "reason", "data")
        read_only_fields = fields
        extra_kwargs: ClassVar = {
            "seq": {"help_text": "Counted from 1 without gaps."},
            "kind": {"help_text": "What happened."},
            "step": {"help_text": "The step it is about; empty if it is about the saga."},
            "actor": {"help_text": "Who asked for it: a worker, `api`, or `user:` and a name."},
            "reason": {"help_text": "Why it was asked for, if a reason was given."},
            "data": {"help_text": f"What belongs to the kind of event. {_HIDDEN}"},
        }

    def to_representation(self, event: SagaEvent) -> Any:
        """The fact, without secret values."""
        return shown.event(super().to_representation(event), self.context["hide"])


class ProblemSerializer(serializers.Serializer[Any]):
    """An error (RFC 9457)."""

    type = serializers.CharField(help_text="Always `about:blank`.")
    title = serializers.CharField(help_text="The status in words.")
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What happened.")
    errors = JSONObject(  # type: ignore[assignment]
        required=False, help_text="What is wrong, by field."
    )
    saga_status = serializers.ChoiceField(choices=SAGA_STATUSES, required=False)
    allowed_operations = serializers.ListField(
        child=serializers.ChoiceField(OPERATIONS), required=False
    )


class LiveSerializer(serializers.Serializer[Any]):
    """A process that answers."""

    status = serializers.CharField(help_text="Always `ok`.")


class HealthSerializer(serializers.Serializer[Any]):
    """Whether the service can serve, and the state of what it depends on."""

    status = serializers.ChoiceField(HEALTH)
    database = serializers.ChoiceField(PART_HEALTH)
    cache = serializers.ChoiceField(PART_HEALTH)
    broker = serializers.ChoiceField(PART_HEALTH)
