"""Finding sagas by their ids and by the values in their data and in what their steps gave.

On PostgreSQL all of it is served by indexes: those of migration 0003 for sagas that have ended, and
the one by status for the others, which are few. On SQLite the tables are read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from executors.quoted import plain
from sagas.models import Saga, SagaStep

FEW = 1000
"""Up to so many sagas are named by their ids; on SQLite no more are found."""

_OPEN = ("pending", "in_progress")
_ENDED = ("completed", "compensated", "failed")
_HEX = re.compile(r"[0-9a-f]+")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?")
_LEAST_START, _LEAST_END, _WHOLE, _TAIL = 8, 6, 32, 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """A value to look for, as a text or a number, at any depth."""

    text: str
    field: str = ""
    """Only under this name."""

    hidden: frozenset[str] = frozenset()
    """What lies under these names, however spelt, is not looked at: nobody is to guess a secret."""

    def hides(self, name: str) -> bool:
        """Whether what lies under the name is not looked at."""
        return plain(name) in {plain(each) for each in self.hidden}

    @property
    def number(self) -> str | None:
        """It as JSON's number, if it is one."""
        return self.text if _NUMBER.fullmatch(self.text) else None


def known_types() -> Iterator[str]:
    """The types of all sagas that there are, in order; one step in the index for each."""
    last: str | None = ""
    while last is not None:
        rows = Saga.objects.filter(type__gt=last).order_by("type")
        last = rows.values_list("type", flat=True).first()
        if last is not None:
            yield last


def ids_of(text: str) -> set[UUID]:
    """Sagas whose ids begin or end so, at most `FEW` of each; hyphens do not count."""
    digits = text.replace("-", "").lower()
    if not _HEX.fullmatch(digits) or len(digits) >= _WHOLE:
        return set()
    found: set[UUID] = set()
    if len(digits) >= _LEAST_START:
        first, last = UUID(digits.ljust(_WHOLE, "0")), UUID(digits.ljust(_WHOLE, "f"))
        found.update(
            Saga.objects.filter(pk__range=(first, last)).values_list("pk", flat=True)[:FEW]
        )
    if len(digits) >= _LEAST_END:
        found.update(pk for pk in _ending(digits[-_TAIL:]) if pk.hex.endswith(digits))
    return found


def _ending(digits: str) -> list[UUID]:
    sagas = Saga.objects.order_by()
    if connection.vendor != "postgresql":
        return list(sagas.filter(pk__endswith=digits).values_list("pk", flat=True)[:FEW])
    table = Saga._meta.db_table
    tail = f"reverse(right({table}.id::text, {_TAIL})) LIKE %s"
    params = [f"{digits[::-1]}%"]
    return [
        pk
        for statuses in (_ENDED, _OPEN)
        for pk in sagas.filter(status__in=statuses)
        .extra(where=[tail], params=params)
        .values_list("pk", flat=True)[:FEW]
    ]


def with_value(
    sagas: QuerySet[Saga], value: Value, *, or_one_of: Collection[UUID] = ()
) -> QuerySet[Saga]:
    """Those of the sagas in whose data, or in what whose steps gave, the value is.

    Or those of these ids; not if too many have the value for single ones to matter.
    """
    if value.hides(value.field):
        return sagas.filter(pk__in=or_one_of)
    if connection.vendor == "postgresql":
        return _indexed(sagas, value, or_one_of)
    return sagas.filter(pk__in=_read(value).union(or_one_of))


# --- PostgreSQL -----------------------------------------------------------------------------------


def _indexed(sagas: QuerySet[Saga], value: Value, also: Collection[UUID]) -> QuerySet[Saga]:
    queries = [
        (f"{sql} AND {condition}", params)
        for sql, column in (
            (f"SELECT id FROM sagas_saga WHERE status IN {_ENDED}", "data"),
            ("SELECT saga_id FROM sagas_sagastep WHERE output IS NOT NULL", "output"),
            (f"SELECT id FROM sagas_saga WHERE status IN {_OPEN}", "data"),
        )
        for condition, params in (_condition(value, column),)
    ]
    found = set(also)
    with connection.cursor() as cursor:
        for sql, params in queries:
            cursor.execute(f"{sql} LIMIT {FEW + 1}", params)
            rows = cursor.fetchall()
            if len(rows) > FEW:
                # The database is to put them together, at a cost that grows with their number.
                every = " UNION ALL ".join(sql for sql, _params in queries)
                together = [param for _sql, params in queries for param in params]
                return sagas.extra(where=[f"sagas_saga.id IN ({every})"], params=together)
            found.update(pk for (pk,) in rows)
    return sagas.filter(pk__in=found)


def _condition(value: Value, column: str) -> tuple[str, list[str]]:
    """SQL, with its parameters, that says whether the value is in the column, and not hidden."""
    path = f"strict $.** ? ({_predicate(value)})"
    where = f"{column} @? %s::jsonpath"
    if not value.hidden:
        return where, [path]
    counted = f"jsonb_array_length(jsonb_path_query_array({column}, %s::jsonpath, '{{}}', true))"
    names = ("[-_. ]*".join(map(re.escape, plain(name))) for name in sorted(value.hidden))
    spelt = json.dumps(f"^[-_. ]*({'|'.join(names)})[-_. ]*$")
    secret = (
        f'strict $.** ? (@.type() == "object").keyvalue() ? (@.key like_regex {spelt} flag "i")'
    )
    below = f"{secret}.value.** ? ({_predicate(value)})"
    return f"({where} AND {counted} > {counted})", [path, path, below]


def _predicate(value: Value) -> str:
    """The jsonpath condition; JSON's way to quote is jsonpath's too."""
    at = f"@.{json.dumps(value.field)}" if value.field else "@"
    equal = [json.dumps(value.text), *([value.number] if value.number else [])]
    return " || ".join(f"{at} == {each}" for each in equal)


# --- SQLite ---------------------------------------------------------------------------------------


def _read(value: Value) -> set[UUID]:
    """The newest sagas that have it, no more than `FEW`."""
    found: set[UUID] = set()
    wanted = json.dumps(value.text)[1:-1]
    data = Saga.objects.order_by("-id").values_list("pk", "data")
    given = SagaStep.objects.order_by("-saga_id").values_list("saga_id", "output")
    for rows, column in ((data, "data"), (given, "output")):
        narrowed = rows.extra(where=[f"instr({column}, %s) > 0"], params=[wanted])
        matches = (pk for pk, document in narrowed.iterator() if _holds(document, value, ""))
        for pk in matches:
            found.add(pk)
            if len(found) >= FEW:
                break
    return found


def _holds(document: Any, value: Value, name: str) -> bool:
    if isinstance(document, dict):
        shown = ((key, below) for key, below in document.items() if not value.hides(key))
        return any(_holds(below, value, key) for key, below in shown)
    if isinstance(document, list):
        return any(_holds(below, value, "") for below in document)
    if value.field and name != value.field:
        return False
    if isinstance(document, int | float) and not isinstance(document, bool):
        return value.number is not None and Decimal(str(document)) == Decimal(value.number)
    return bool(document == value.text)
