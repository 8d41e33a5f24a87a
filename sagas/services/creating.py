"""Creating sagas."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from typing import Any
from uuid import UUID

from django.db import IntegrityError
from rest_framework.exceptions import ValidationError

from executors.base import SagaExecutor
from executors.registry import registry
from executors.reuse import checked
from executors.secrets import redactor_of
from sagas import runtime, selectors
from sagas.domain.trace import Trace
from sagas.engine.store import Loaded
from sagas.engine.whole import whole
from sagas.models import Saga
from sagas.services.driving import drive_here, place_to_drive
from sagas.services.reading import get_saga
from sagas.services.waiting import has_ended, listening, wait_until_ended, when_heard


class UnknownSagaType(Exception):
    """No saga type of that name is declared."""


class InvalidData(Exception):
    """The data does not fit the saga type; `errors` says where."""

    def __init__(self, errors: Any) -> None:
        super().__init__("the data does not fit the saga type")
        self.errors = errors


class KeyReused(Exception):
    """The Idempotency-Key was used before, with another body."""


@dataclass(frozen=True, kw_only=True)
class Created:
    """A saga, and whether this request or an earlier one with its key made it."""

    id: UUID
    replayed: bool
    seen: Saga | None = None
    """As it was when its end had been waited for, or the time for that was over; None if it was
    not waited for."""

    @cached_property
    def saga(self) -> Saga:
        """The saga, as it is when it is first looked at. Raises SagaNotFound."""
        return self.seen or get_saga(self.id)


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
    wait: float = 0.0,
) -> Created:
    """Create a saga, and start it if `execute`; its calls are part of the client's trace.

    An idempotency key is its client's own. Who waits so many seconds is given the saga when it has
    ended; with SAGA_API_DRIVES it is driven meanwhile by this very thread, which could do nothing
    else.

    Raises UnknownSagaType, InvalidData, or KeyReused.
    """
    wait = wait if execute else 0.0
    until = time.monotonic() + wait
    digest, now = "", None
    if idempotency_key is not None:
        digest = _digest({"type": saga_type, "data": data, "execute": execute})
        now, first = _by_key(client, idempotency_key, digest)
        if first is not None:
            return _replayed(first, until)
    executor = registry.newest(saga_type)
    if executor is None:
        raise UnknownSagaType(saga_type)
    saga = Saga(
        type=saga_type,
        definition_version=executor.version,
        data=validated(executor, data),
        client=client,
        idempotency_key=idempotency_key,
        request_digest=digest,
        trace=trace.stored if trace is not None else "",
        created_at=now or selectors.database_now(),
    )
    create = partial(runtime.engine().create, saga, executor.definition)
    begin = partial(create, execute=execute, actor=actor, reason=reason)
    try:
        return Created(id=saga.id, replayed=False, seen=_begun(saga, begin, wait, until))
    except IntegrityError:
        if idempotency_key is None:
            raise
        _, first = _by_key(client, idempotency_key, digest)
        if first is None:
            raise
        return _replayed(first, until)


def _replayed(saga_id: UUID, until: float) -> Created:
    seen = wait_until_ended(saga_id, until - time.monotonic())
    return Created(id=saga_id, replayed=True, seen=seen)


def _begun(saga: Saga, begin: Callable[..., Loaded], wait: float, until: float) -> Saga | None:
    """The saga as it was last seen by who waited for its end; None if nobody did."""
    with place_to_drive(wait) as here:
        if here:
            drive_here(whole(partial(begin, claim=True)), until)
    if here:
        seen = get_saga(saga.id)
        left = until - time.monotonic()  # its calls may have taken all of it
        return seen if has_ended(seen) else wait_until_ended(saga.id, left) or seen
    # Listening before the saga is there: there is no end that could be missed.
    with listening(saga.id, wait) as hear:
        whole(begin)
        last = when_heard(saga, until, hear) if hear else None
    # Not as it was inserted: others may have written it, and its steps, since.
    return get_saga(saga.id) if last is saga else last


def validated(executor: SagaExecutor, data: Any) -> dict[str, Any]:
    """The data as the saga type's serializer keeps it, as JSON values. Raises InvalidData."""
    hide = redactor_of(executor).knowing(data)
    with hide.cleansing():
        try:
            serializer, kept = checked(executor.data, data)
        except ValidationError as error:
            errors = error.detail
        else:
            return dict(serializer.to_representation(kept))
    raise InvalidData(errors if hide.idle else hide.told(errors))


def _by_key(client: str, key: str, digest: str) -> tuple[datetime, UUID | None]:
    """The time, and the saga that the key stands for: the client's own, or one of a request
    without a name. Raises KeyReused.

    Requests had no names before API keys were asked for, and may be repeated with one since. What
    others sent without a name is no reason to refuse a key.
    """
    now, sagas = selectors.now_and_named(key, client)
    if (own := sagas.get(client)) is not None:
        if own[1] != digest:
            raise KeyReused(key)
        return now, own[0]
    nameless = sagas.get("")
    return now, nameless[0] if nameless is not None and nameless[1] == digest else None


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()
