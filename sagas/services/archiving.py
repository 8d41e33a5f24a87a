"""What is purged, written to a file first: a line of JSON for each saga and bulk operation.

Secrets are hidden in it as wherever a saga is shown: what nobody may see is not kept for years.
"""

from __future__ import annotations

import fcntl
import gzip
import json
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import DataError
from django.db.models import Model

from executors.secrets import Redactor, hiding
from sagas.models import BulkOperation, Saga, SagaEvent, SagaStep

_RELATED = ("steps", "events", "proposals")


class CannotArchive(Exception):
    """The file cannot be written; says why."""


class Archive:
    """A file to append to, compressed if its name ends in `.gz`; in a folder one of its own."""

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            path = path / f"sagas-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}.jsonl.gz"
        self.path = path
        self._packed = path.suffix == ".gz"
        self._file: int | None = None

    def keep(self, ids: Collection[UUID]) -> Collection[UUID]:
        """Write these sagas; those that are on the disk now. Raises CannotArchive.

        One whose rows cannot be read is not among them.
        """
        documents = list(_documents(ids))
        self.write(documents)
        return [UUID(each["saga"]["id"]) for each in documents]

    def write(self, documents: Collection[dict[str, Any]]) -> None:
        """Append all of them, or none, and wait until they are on the disk.

        Raises CannotArchive.
        """
        if not documents:
            return
        text = "".join(f"{_line(each)}\n" for each in documents).encode()
        with self._reasons():
            if self._file is None:
                self._file = self._open()
            _append(self._file, gzip.compress(text, 6) if self._packed else text)

    def close(self) -> None:
        """Nothing more comes."""
        if self._file is not None:
            os.close(self._file)
        self._file = None

    def _open(self) -> int:
        # What a crash cut off can be followed by more in a plain file, in a packed one it cannot.
        once = os.O_EXCL if self._packed else 0
        file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | once, 0o600)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # so that the file's name lasts as well
        finally:
            os.close(folder)
        return file

    @contextmanager
    def _reasons(self) -> Iterator[None]:
        try:
            yield
        except FileExistsError as error:
            why = f"{self.path} exists, and nothing is appended to a compressed file"
            raise CannotArchive(why) from error
        except OSError as error:
            raise CannotArchive(f"{self.path} cannot be written: {error.strerror}") from error


def bulk_document(bulk: BulkOperation) -> dict[str, Any]:
    """A bulk operation with its items."""
    items = [_columns(item, leave=("bulk_id",)) for item in bulk.items.all()]
    return {"bulk": _columns(bulk), "items": items}


def _append(file: int, text: bytes) -> None:
    """Written and on the disk, or not there at all. Raises OSError."""
    fcntl.flock(file, fcntl.LOCK_EX)  # another purge may write to the same file
    try:
        end = os.fstat(file).st_size
        # After a line that a crash cut off a new one is begun.
        torn = end and text[:1] == b"{" and os.pread(file, 1, end - 1) != b"\n"
        left = memoryview(b"\n" + text if torn else text)
        try:
            while left:
                left = left[os.write(file, left) :]
            os.fsync(file)
        except OSError:
            with suppress(OSError):
                os.ftruncate(file, end)
            raise
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _documents(ids: Collection[UUID]) -> Iterator[dict[str, Any]]:
    """The sagas as they are kept, without those whose rows cannot be read."""
    rows = Saga.objects.filter(pk__in=ids).prefetch_related(*_RELATED)
    try:
        found = [_document(saga) for saga in rows]
    except (DataError, ValueError):  # as in `store.load`
        found = [each for one in ids for each in _documents([one])] if len(ids) > 1 else []
    yield from found


def _document(saga: Saga) -> dict[str, Any]:
    events: Iterable[SagaEvent] = saga.events.all()
    hide = hiding(saga, events)
    row = _columns(saga)
    row |= {"data": hide.document(saga.data)}
    row |= {name: hide.text(row[name]) for name in ("reason", "waiting")}
    return {
        "saga": row,
        "steps": [_step(hide, step) for step in saga.steps.all()],
        "events": [_event(hide, event) for event in events],
        "proposals": [_columns(each, leave=("saga_id",)) for each in saga.proposals.all()],
    }


def _step(hide: Redactor, step: SagaStep) -> dict[str, Any]:
    documents = ("output", "request", "compensation_request")
    shown = {name: hide.document(getattr(step, name)) for name in documents}
    return _columns(step, leave=("id", "saga_id")) | shown | {"error": hide.text(step.error)}


def _event(hide: Redactor, event: SagaEvent) -> dict[str, Any]:
    shown = {"reason": hide.text(event.reason), "data": hide.event(event.data)}
    return _columns(event, leave=("id", "saga_id")) | shown


def _columns(row: Model, *, leave: Collection[str] = ()) -> dict[str, Any]:
    names = (field.attname for field in row._meta.concrete_fields)
    return {name: _plain(getattr(row, name)) for name in names if name not in leave}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def _line(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
