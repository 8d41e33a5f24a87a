"""Creating sagas."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError

from executors.base import SagaExecutor
from executors.registry import registry
from executors.secrets import redactor_of
from sagas import runtime, selectors
from sagas.domain.trace import Trace
from sagas.engine.whole import whole
from sagas.models import Saga
from sagas.services.reading import get_saga


class UnknownSagaType(Exception):
    """No saga type of that name is declared."""


class InvalidData(Exception):
    """The data does not fit the saga type; `errors` says where."""

    def __init__(self, errors: Any) -> None:
        super().__init__("the data does not fit the saga type")
        self.errors = errors


class KeyReused(Exception):
    """The Idempotency-Key was used before, with another body."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Created:
    """A saga, and whether this request or an earlier one with its key made it."""

    saga: Saga
    replayed: bool


def create_saga(
    saga_type: str,
    data: Any,
    *,
    execute: bool,
    actor: str,
    client: str = "",
    idempotency_key: str | None = None,
    reason: str = "",
    trace: Trace | None = None,
) -> Created:
    """Create a saga, and start it if `execute`; its calls are part of the client's trace.

    An idempotency key is its client's own.

    Raises UnknownSagaType, InvalidData, or KeyReused.
    """
    digest = _digest({"type": saga_type, "data": data, "execute": execute})
    if idempotency_key is not None:
        first = _by_key(client, idempotency_key, digest)
        if first is not None:
            return Created(saga=first, replayed=True)
    executor = registry.newest(saga_type)
    if executor is None:
        raise UnknownSagaType(saga_type)
    now = selectors.database_now()
    saga = Saga(
        type=saga_type,
        definition_version=executor.version,
        data=validated(executor, data),
        client=client,
        idempotency_key=idempotency_key,
        request_digest=digest if idempotency_key is not None else "",
        trace=trace.stored if trace is not None else "",
        created_at=now,
    )
    try:
        whole(
            lambda: runtime.engine().create(
                saga, executor.definition, execute=execute, actor=actor, reason=reason
            )
        )
    except IntegrityError:
        first = None if idempotency_key is None else _by_key(client, idempotency_key, digest)
        if first is None:
            raise
        return Created(saga=first, replayed=True)
    return Created(saga=get_saga(saga.id), replayed=False)


def validated(executor: SagaExecutor, data: Any) -> dict[str, Any]:
    """The data as the saga type's serializer keeps it, as JSON values. Raises InvalidData."""
    hide = redactor_of(executor).knowing(data)
    with hide.cleansing():
        serializer = executor.data(data=data)
        if serializer.is_valid():
            return dict(serializer.to_representation(serializer.validated_data))
    raise InvalidData(serializer.errors if hide.idle else hide.told(serializer.errors))


def _by_key(client: str, key: str, digest: str) -> Saga | None:
    """The saga that the key stands for: the client's own, or one of a request without a name.

    Requests had no names before API keys were asked for, and may be repeated with one since. What
    others sent without a name is no reason to refuse a key.
    """
    found = Saga.objects.filter(idempotency_key=key, client__in={client, ""})
    sagas = {saga.client: saga for saga in found.prefetch_related("steps")}
    if (own := sagas.get(client)) is not None:
        if own.request_digest != digest:
            raise KeyReused(key)
        return own
    nameless = sagas.get("")
    return nameless if nameless is not None and nameless.request_digest == digest else None


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()
