"""The documents of a saga, to be unfolded and copied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Model
from django.utils.translation import gettext_lazy as _

from sagas.admin.history import Document
from sagas.admin.shown import Shown, unpacked
from sagas.models import Saga

_TEXTS = ("reason", "waiting", "error")
_REQUESTS = ("request", "compensation_request")


def documents(saga: Saga, shown: Shown) -> Iterator[Document]:
    """Its data, its steps' outputs, and all that is stored of it but its history."""
    steps = list(saga.steps.all())
    yield Document(key="document-data", title=_("Data"), text=shown.json(saga.data))
    outputs = {step.name: step.output for step in steps if step.output is not None}
    if outputs:
        yield Document(key="document-outputs", title=_("Outputs"), text=shown.json(outputs))
    stored = _stored(saga, shown) | {"steps": [_stored(step, shown) for step in steps]}
    yield Document(key="document-raw", title=_("All that is stored"), text=shown.json(stored))


def _stored(row: Model, shown: Shown) -> dict[str, Any]:
    """The row's columns by name."""
    names = [column.attname for column in row._meta.concrete_fields]
    values = {name: getattr(row, name) for name in names if name != "saga_id"}
    values |= {name: shown.text(values[name]) for name in _TEXTS if name in values}
    return values | {name: unpacked(values[name]) for name in _REQUESTS if name in values}
