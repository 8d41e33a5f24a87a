"""The API's documents."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from executors.fields import StrictSerializer
from sagas import services
from sagas.domain.state import Direction, Effect, Operation, SagaStatus, StepStatus
from sagas.models import Saga, SagaEvent, SagaStep

SAGA_STATUSES = [(status.value, status.value) for status in SagaStatus]
STEP_STATUSES = [(status.value, status.value) for status in StepStatus]


@extend_schema_field(OpenApiTypes.OBJECT)
class JSONObject(serializers.JSONField):
    """A JSON object whose members depend on the saga type or the step."""


class CreateSagaSerializer(StrictSerializer):
    """A saga to be created."""

    type = serializers.CharField(max_length=100)
    data = JSONObject(help_text="What the saga type's serializer asks for.")
    execute = serializers.BooleanField(default=False, help_text="Start it at once.")


class OperationSerializer(StrictSerializer):
    """Why an operation is asked for."""

    reason = serializers.CharField(
        max_length=1000, required=False, allow_blank=True, default="", trim_whitespace=True
    )


class StepSerializer(serializers.ModelSerializer[SagaStep]):
    """One step in the saga's current run."""

    status = serializers.ChoiceField(choices=STEP_STATUSES)
    compensation = serializers.SerializerMethodField()
    in_doubt = serializers.SerializerMethodField()
    output = JSONObject(allow_null=True)

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

    @extend_schema_field({"type": "string", "nullable": True})
    def get_compensation(self, step: SagaStep) -> str | None:
        """The compensation's name, if the step has one."""
        return step.compensation or None

    def get_in_doubt(self, step: SagaStep) -> bool:
        """Whether the action may or may not have taken effect."""
        return step.effect == Effect.IN_DOUBT.value


class SagaSummarySerializer(serializers.ModelSerializer[Saga]):
    """A saga in a list."""

    status = serializers.ChoiceField(choices=SAGA_STATUSES)
    direction = serializers.ChoiceField(choices=[(d.value, d.value) for d in Direction])

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


class SagaSerializer(SagaSummarySerializer):
    """A saga with its steps."""

    data = JSONObject()
    steps = StepSerializer(many=True)
    error = serializers.SerializerMethodField()
    allowed_operations = serializers.SerializerMethodField()

    class Meta(SagaSummarySerializer.Meta):
        fields = (
            *SagaSummarySerializer.Meta.fields,
            "data",
            "error",
            "allowed_operations",
            "steps",
        )
        read_only_fields = fields

    @extend_schema_field({"type": "string", "nullable": True})
    def get_error(self, saga: Saga) -> str | None:
        """Why the saga did not complete; null if nothing went wrong."""
        if saga.status == SagaStatus.COMPLETED.value:
            return None
        errors = [step.error for step in saga.steps.all() if step.error]
        return saga.reason or (errors[0] if errors else None)

    @extend_schema_field(
        {"type": "array", "items": {"enum": [operation.value for operation in Operation]}}
    )
    def get_allowed_operations(self, saga: Saga) -> list[str]:
        """The operations that may be asked for now."""
        return services.allowed(saga)


class EventSerializer(serializers.ModelSerializer[SagaEvent]):
    """One recorded fact of a saga's history."""

    data = JSONObject()

    class Meta:
        model = SagaEvent
        fields = ("seq", "kind", "step", "at", "actor", "reason", "data")
        read_only_fields = fields


class ProblemSerializer(serializers.Serializer[Any]):
    """An error (RFC 9457)."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    errors = JSONObject(required=False, help_text="What is wrong, by field.")
    saga_status = serializers.ChoiceField(choices=SAGA_STATUSES, required=False)
    allowed_operations = serializers.ListField(child=serializers.CharField(), required=False)
