"""What the search field of the list understands."""

from __future__ import annotations

import re
from uuid import UUID

from django.db.models import QuerySet

from executors.registry import registry
from sagas import search
from sagas.models import Saga

_LONGEST = 200
_WITH_FIELD = re.compile(r"([^\s=]{1,100})\s*=\s*(.+)", re.DOTALL)
_AT_A_STEP = ("pending", "in_progress", "failed")


def find(sagas: QuerySet[Saga], text: str) -> QuerySet[Saga]:
    """Those of the sagas that are meant by the text.

    In this order: a whole id; what the names of types begin with, or of the steps at which sagas
    stand; the start or end of an id, or a value in the data or in what a step gave, either alone
    or as `field=value`.
    """
    term = text.strip()
    if not term:
        return sagas
    if len(term) > _LONGEST or "\0" in term:
        return sagas.none()
    try:
        return sagas.filter(pk=UUID(term))
    except ValueError:
        pass
    start = term.lower()
    types = [name for name in search.known_types() if name.lower().startswith(start)]
    if types:
        return sagas.filter(type__in=types)
    if any(name.lower().startswith(start) for name in _steps()):
        return sagas.filter(status__in=_AT_A_STEP, current_step__istartswith=term)
    return search.with_value(sagas, _value(term), or_one_of=search.ids_of(term.removeprefix("…")))


def _steps() -> set[str]:
    return {step.name for executor in registry.all() for step in executor.steps}


def _value(term: str) -> search.Value:
    hidden = frozenset(name for executor in registry.all() for name in executor.secrets)
    with_field = _WITH_FIELD.fullmatch(term)
    if with_field is None:
        return search.Value(text=term, hidden=hidden)
    return search.Value(field=with_field[1], text=with_field[2], hidden=hidden)
