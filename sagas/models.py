"""The orchestrator's tables. Sagas, steps and events are written by `sagas.engine` alone."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.db import models
from django.db.models import Q
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from sagas.domain.state import Direction, Effect, SagaStatus, StepStatus
from sagas.domain.trace import LONGEST, of_saga
from sagas.keys import ApiKey as ApiKey  # one of the tables, too

_LABELS = {
    "pending": _("pending"),
    "in_progress": _("in progress"),
    "completed": _("completed"),
    "failed": _("failed"),
    "compensated": _("compensated"),
    "forward": _("forward"),
    "compensating": _("compensating"),
    "none": _("none"),
    "in_doubt": _("in doubt"),
    "applied": _("applied"),
}


def _choices(
    enum: type[SagaStatus | StepStatus | Direction | Effect],
) -> list[tuple[str, str | Promise]]:
    return [(item.value, _LABELS[item.value]) for item in enum]


def new_saga_id() -> UUID:
    """A UUIDv7 (RFC 9562): ids grow with time, so that the index stays compact."""
    return uuid7()


PEOPLE = Q(actor__startswith="user:") | Q(actor__startswith="shell:")
"""The events that people asked for, in the console or at a shell."""

BULK_MARK = " (bulk %s)"
"""What ends the reason of what was done as a part of a bulk operation, with its id."""


class Saga(models.Model):
    """One instance of a distributed transaction."""

    id = models.UUIDField(primary_key=True, default=new_saga_id, editable=False)
    type = models.CharField(max_length=100)
    definition_version = models.PositiveIntegerField()
    status = models.CharField(
        max_length=16, choices=_choices(SagaStatus), default=SagaStatus.PENDING.value
    )
    direction = models.CharField(
        max_length=16, choices=_choices(Direction), default=Direction.FORWARD.value
    )
    data = models.JSONField()
    reason = models.TextField(blank=True, default="")
    waiting = models.TextField(blank=True, default="")
    current_step = models.CharField(max_length=100, blank=True, default="")
    in_doubt = models.BooleanField(default=False)
    run = models.PositiveIntegerField(default=1)
    seq = models.PositiveIntegerField(default=0)
    epoch = models.PositiveBigIntegerField(default=0)
    owner = models.CharField(max_length=100, blank=True, default="")
    due_at = models.DateTimeField(null=True, blank=True)
    deadline = models.DateTimeField(null=True, blank=True)
    cancel_requested = models.BooleanField(default=False)
    crashes = models.PositiveSmallIntegerField(default=0)
    # The database's own default, too: code of before inserts rows without it.
    client = models.CharField(max_length=200, blank=True, default="", db_default="")
    """Whose idempotency key it is: an API key's name, `user:` and a name, or empty."""

    idempotency_key = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001
    request_digest = models.CharField(max_length=64, blank=True, default="")
    # What its client's headers said of a trace; empty where the saga's id says all of it.
    trace = models.CharField(max_length=LONGEST, blank=True, default="", db_default="")
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["-id"]
        permissions: ClassVar = [
            ("execute", _("Can execute sagas")),
            ("compensate", _("Can compensate sagas")),
            ("retry", _("Can retry sagas")),
            ("resolve", _("Can say what became of a step in doubt")),
            ("skip", _("Can skip the step at which a saga failed")),
            ("edit_data", _("Can edit the data of a saga before a retry")),
            ("approve", _("Can approve what another person proposed")),
            ("reset_breaker", _("Can reset circuit breakers")),
        ]
        indexes: ClassVar = [
            models.Index(fields=["due_at"], name="saga_due", condition=Q(due_at__isnull=False)),
            models.Index(fields=["status", "-id"], name="saga_status"),
            models.Index(fields=["type", "-id"], name="saga_type"),
            # For the console's questions. Rows of sagas that run as they should are in none of
            # these before they end, so that their many updates cost no more for it.
            models.Index(
                fields=["ended_at"], name="saga_ended", condition=Q(ended_at__isnull=False)
            ),
            models.Index(fields=["ended_at"], name="saga_failed", condition=Q(status="failed")),
            models.Index(fields=["id"], name="saga_in_doubt", condition=Q(in_doubt=True)),
            models.Index(fields=["id"], name="saga_waiting", condition=~Q(waiting="")),
        ]
        constraints: ClassVar = [
            # The key comes first, so that it is found without its client as well.
            models.UniqueConstraint(
                fields=["idempotency_key", "client"],
                name="saga_key_of_client",
                condition=Q(idempotency_key__isnull=False),
            ),
            models.CheckConstraint(
                name="saga_status_known",
                condition=Q(status__in=[status.value for status in SagaStatus]),
            ),
            models.CheckConstraint(
                name="saga_due_while_in_progress",
                condition=Q(status="in_progress", due_at__isnull=False)
                | (~Q(status="in_progress") & Q(due_at__isnull=True)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"

    @property
    def trace_id(self) -> str:
        """The distributed trace that all its calls are part of."""
        return of_saga(self.id, self.trace).trace_id


class SagaStep(models.Model):
    """One step of a saga in its current run."""

    # Found by `step_position`, which begins with it: an index of its own would cost each write.
    saga = models.ForeignKey(Saga, on_delete=models.CASCADE, related_name="steps", db_index=False)
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=100)
    compensation = models.CharField(max_length=100, blank=True, default="")
    status = models.CharField(
        max_length=16, choices=_choices(StepStatus), default=StepStatus.PENDING.value
    )
    effect = models.CharField(max_length=16, choices=_choices(Effect), default=Effect.NONE.value)
    calling = models.CharField(max_length=16, blank=True, default="")
    # The database's own default, too: code of before inserts rows without it.
    revision = models.PositiveSmallIntegerField(default=0, db_default=0)
    attempts = models.PositiveSmallIntegerField(default=0)
    compensation_attempts = models.PositiveSmallIntegerField(default=0)
    output = models.JSONField(null=True, blank=True)
    request = models.JSONField(null=True, blank=True)
    compensation_request = models.JSONField(null=True, blank=True)
    error = models.TextField(blank=True, default="")
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["saga_id", "position"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["saga", "position"], name="step_position"),
        ]

    def __str__(self) -> str:
        return self.name


class SagaEvent(models.Model):
    """One recorded fact; rows are appended, never changed."""

    # Found by `event_seq`. The database does not look for the saga of every row: the engine has
    # just updated it. Nor does PostgreSQL keep an index of the ids (migration 0011).
    saga = models.ForeignKey(
        Saga,
        on_delete=models.CASCADE,
        related_name="events",
        db_index=False,
        db_constraint=False,
    )
    seq = models.PositiveIntegerField()
    kind = models.CharField(max_length=40)
    step = models.CharField(max_length=100, blank=True, default="")
    at = models.DateTimeField()
    actor = models.CharField(max_length=200)
    reason = models.TextField(blank=True, default="")
    epoch = models.PositiveBigIntegerField()
    data = models.JSONField()

    class Meta:
        ordering: ClassVar = ["saga_id", "seq"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["saga", "seq"], name="event_seq"),
        ]
        # Workers' events and those of clients are not in it, and so cost nothing for it.
        indexes: ClassVar = [models.Index(fields=["at"], name="event_by_people", condition=PEOPLE)]

    def __str__(self) -> str:
        return f"{self.seq} {self.kind}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Refuse to change history. Raises TypeError."""
        raise TypeError("events are written by the engine alone")


class Tally(models.Model):
    """How many sagas of a type reached a status within a stretch of time that is over."""

    start = models.PositiveBigIntegerField()
    """When the stretch begins: seconds since 1970, UTC."""

    type = models.CharField(max_length=100)
    status = models.CharField(max_length=16)
    number = models.PositiveIntegerField()

    class Meta:
        default_permissions = ()  # nobody edits them
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["start", "type", "status"], name="tally_once"),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.type} {self.status} at {self.start}"


class Proposal(models.Model):
    """An operation that one person proposes and another has to approve."""

    saga = models.ForeignKey(Saga, on_delete=models.CASCADE, related_name="proposals")
    operation = models.CharField(max_length=16)
    fingerprint = models.CharField(max_length=64)
    reason = models.TextField()
    proposed_by = models.CharField(max_length=200)
    proposed_at = models.DateTimeField()
    decision = models.CharField(max_length=16, blank=True, default="")
    decided_by = models.CharField(max_length=200, blank=True, default="")
    decided_at = models.DateTimeField(null=True, blank=True)
    comment = models.TextField(blank=True, default="")

    class Meta:
        ordering: ClassVar = ["-id"]
        default_permissions: ClassVar = ()
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["saga"], name="proposal_open", condition=Q(decision="")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.operation} {self.saga_id}"


class BulkOperation(models.Model):
    """An operation on many sagas, which workers preview and, once it is confirmed, perform."""

    id = models.UUIDField(primary_key=True, default=new_saga_id, editable=False)
    operation = models.CharField(max_length=16)
    reason = models.TextField(blank=True, default="")
    actor = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    previewed_at = models.DateTimeField(null=True, blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)
    """When a worker should look at it: at once, or when the lease of the one that has it ends."""

    class Meta:
        ordering: ClassVar = ["-id"]
        default_permissions: ClassVar = ()
        indexes: ClassVar = [
            models.Index(fields=["due_at"], name="bulk_due", condition=Q(due_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.operation} {self.id}"


class BulkItem(models.Model):
    """One saga of a bulk operation."""

    # Found by `bulk_item_once`.
    bulk = models.ForeignKey(
        BulkOperation, on_delete=models.CASCADE, related_name="items", db_index=False
    )
    saga_id = models.UUIDField()
    fingerprint = models.CharField(max_length=64, blank=True, default="")
    plan = models.TextField(blank=True, default="")
    ends = models.CharField(max_length=16, blank=True, default="")
    """The status in which the saga ends if all goes as planned."""

    result = models.CharField(max_length=16, blank=True, default="")
    message = models.TextField(blank=True, default="")
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["id"]
        default_permissions: ClassVar = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bulk", "saga_id"], name="bulk_item_once"),
        ]
        indexes: ClassVar = [models.Index(fields=["bulk", "result"], name="bulk_results")]

    def __str__(self) -> str:
        return str(self.saga_id)
