"""Sagas from the database, a batch at a time, each as one commit left it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any
from uuid import UUID

from django.db import DataError, connection
from django.db.models import F

from executors.registry import registry
from sagas.domain.state import Operation
from sagas.engine import store
from sagas.models import Saga, SagaEvent, SagaStep
from sagas.verify.clients import CREATE, Stored, Told
from sagas.verify.history import Fact, History

_BATCH = 200
_TRIES = 5


def database_name() -> str:
    """The database as people know it: its file, or its name and host."""
    name, host = (str(connection.settings_dict[key] or "") for key in ("NAME", "HOST"))
    return f"{name} at {host}" if host else name


def histories(batch: int = _BATCH) -> Iterator[list[History | UUID]]:
    """Every saga that there is, in batches by id; only the id of one that kept changing."""
    last: UUID | None = None
    while True:
        rows = Saga.objects.order_by("pk")
        ids = list(
            (rows.filter(pk__gt=last) if last else rows).values_list("pk", flat=True)[:batch]
        )
        if not ids:
            return
        yield _settled(ids)
        last = ids[-1]


def one(saga_id: UUID) -> History | None:
    """One saga; None if it kept changing, or is gone."""
    return next((found for found in _settled([saga_id]) if isinstance(found, History)), None)


def _settled(ids: Sequence[UUID]) -> list[History | UUID]:
    found: list[History | UUID] = []
    left = list(ids)
    for _ in range(_TRIES):
        read = _read(left)
        # The number of the last event grows with each commit: unchanged, nothing was written.
        after = dict(Saga.objects.filter(pk__in=left).values_list("pk", "seq"))
        found += [history for pk, (seq, history) in read.items() if after.get(pk) == seq]
        left = [pk for pk in after if pk not in read or after[pk] != read[pk][0]]
        if not left:
            return found
    return found + left


def _read(ids: Sequence[UUID]) -> dict[UUID, tuple[int, History]]:
    try:
        return _read_at_once(ids)
    except DataError as error:  # one of them holds what the driver cannot read
        if len(ids) == 1:
            return _unreadable(ids[0], error)
    return {pk: read for some in ids for pk, read in _read([some]).items()}


def _unreadable(saga_id: UUID, error: DataError) -> dict[UUID, tuple[int, History]]:
    names = ("seq", "type", "definition_version", "status")
    row = Saga.objects.only(*names).filter(pk=saga_id).first()
    if row is None:
        return {}
    history = History(
        saga_id=str(saga_id),
        type=row.type,
        version=row.definition_version,
        status=row.status,
        data={},
        row=None,
        steps=(),
        facts=(),
        unreadable=f"its rows cannot be read: {error}",
    )
    return {saga_id: (row.seq, history)}


def _read_at_once(ids: Sequence[UUID]) -> dict[UUID, tuple[int, History]]:
    sagas = list(Saga.objects.filter(pk__in=ids).order_by("pk"))
    steps: dict[UUID, list[SagaStep]] = defaultdict(list)
    for step in SagaStep.objects.filter(saga_id__in=ids).order_by("saga_id", "position"):
        steps[step.saga_id].append(step)
    facts: dict[UUID, list[Fact]] = defaultdict(list)
    for event in SagaEvent.objects.filter(saga_id__in=ids).order_by("saga_id", "seq"):
        facts[event.saga_id].append(_fact(event))
    return {row.pk: (row.seq, _history(row, steps[row.pk], facts[row.pk])) for row in sagas}


def _fact(event: SagaEvent) -> Fact:
    return Fact(
        seq=event.seq,
        kind=event.kind,
        at=event.at,
        actor=event.actor,
        reason=event.reason,
        epoch=event.epoch,
        data=event.data,
    )


def _history(row: Saga, steps: Sequence[SagaStep], facts: Iterable[Fact]) -> History:
    state, why = None, ""
    try:
        state = store.saga_state(row, steps)
    except store.Unreadable as error:
        why = str(error)
    executor = registry.find(row.type, row.definition_version)
    known = {step.name: step.participant for step in executor.steps} if executor else {}
    stored = {"its row": _columns(row)} | {f"step {step.name}": _columns(step) for step in steps}
    return History(
        saga_id=str(row.pk),
        type=row.type,
        version=row.definition_version,
        status=row.status,
        data=row.data,
        row=state,
        unreadable=why,
        steps=tuple((step.name, step.compensation) for step in steps),
        facts=tuple(facts),
        definition=executor.definition if executor else None,
        participants=known,
        in_doubt=row.in_doubt,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        updated_at=row.updated_at,
        stored=stored,
    )


def _columns(row: Saga | SagaStep) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


# --- What clients were told of ------------------------------------------------------------------


def stored(told: Collection[Told]) -> Stored:
    """What the database has of the sagas and keys that clients were told of."""
    ids = {one.saga_id for one in told if one.saga_id is not None and _is_id(one.saga_id)}
    keys = {one.key for one in told if one.op == CREATE and one.key is not None}
    known: set[str] = set()
    by_key: dict[tuple[str, str], list[str]] = defaultdict(list)
    commands: Counter[tuple[str, str]] = Counter()
    kinds = {f"{operation.value}_requested": operation.value for operation in Operation}
    for some in _batches(ids):
        known |= {str(pk) for pk in Saga.objects.filter(pk__in=some).values_list("pk", flat=True)}
        asked = SagaEvent.objects.filter(saga_id__in=some, kind__in=kinds)
        with_creation = {"seq": 2, "kind": "execute_requested", "at": F("saga__created_at")}
        for pk, kind in asked.exclude(**with_creation).values_list("saga_id", "kind"):
            commands[str(pk), kinds[kind]] += 1
    for some in _batches(keys):
        found = Saga.objects.filter(idempotency_key__in=some)
        for client, key, pk in found.values_list("client", "idempotency_key", "pk"):
            by_key[client, str(key)].append(str(pk))
    return Stored(ids=known, by_key=by_key, commands=commands)


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _batches(values: Iterable[str]) -> Iterator[list[str]]:
    left = iter(sorted(values))
    while some := list(islice(left, _BATCH)):
        yield some
