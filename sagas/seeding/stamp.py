"""Copies of a played saga with other ids, times and values, as the text of PostgreSQL's COPY."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any
from uuid import UUID

from sagas.models import Saga, SagaEvent, SagaStep
from sagas.seeding.stage import BEGIN, COLUMNS, SAGA_ID, Rows

_MARK = 888_100_000
_LONGEST = 100
_BETWEEN = "\f"
_HOLES = re.compile(
    rf"{str(_MARK)[:6]}(?P<mark>\d{{3}})"
    rf"|(?P<id>{SAGA_ID})"
    r"|(?P<time>20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?\+00:00)"
)
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_PLAIN = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}


def mark(number: int) -> int:
    """A number of its own (below 100) to stand for a value that is another in each copy."""
    return _MARK + number


class Stamp:
    """A played saga, from which copies are made."""

    def __init__(self, rows: Rows) -> None:
        tables = ([rows.saga], rows.steps, rows.events)
        text = _BETWEEN.join("".join(_line(row) for row in table) for table in tables)
        times: dict[timedelta, int] = {}
        parts, slots, end = [], [], 0
        for found in _HOLES.finditer(text):
            parts.append(text[end : found.start()].replace("%", "%%"))
            end = found.end()
            if found["mark"]:
                slots.append(1 + int(found["mark"]))
            elif found["id"]:
                slots.append(0)
            else:
                after = datetime.fromisoformat(found["time"]) - BEGIN
                slots.append(1 + _LONGEST + times.setdefault(after, len(times)))
        self._format = "%s".join([*parts, text[end:].replace("%", "%%")])
        self._pick = itemgetter(*slots)
        self._times = tuple(times)
        self.length = rows.saga[COLUMNS[Saga].index("updated_at")] - BEGIN
        """From its beginning to its last event."""

    def copy(self, saga_id: UUID, created_at: datetime, values: Sequence[Any]) -> list[str]:
        """The lines for sagas, steps and events; the values stand for the marks, by number."""
        times = [(created_at + after).isoformat() for after in self._times]
        filling = [*values, *[""] * (_LONGEST - len(values))]
        text: str = self._format % self._pick([str(saga_id), *filling, *times])
        return text.split(_BETWEEN)


def read(
    model: type[Saga | SagaStep | SagaEvent], text: str
) -> Iterator[Saga | SagaStep | SagaEvent]:
    """The rows that the lines hold."""
    known = {field.attname: field for field in model._meta.concrete_fields}
    fields = [known[name] for name in COLUMNS[model]]
    for line in text.split("\n")[:-1]:
        cells = line.split("\t")
        values = (_value(field, cell) for field, cell in zip(fields, cells, strict=True))
        yield model(**dict(zip(COLUMNS[model], values, strict=True)))


def _line(row: tuple[Any, ...]) -> str:
    return "\t".join(_cell(value) for value in row) + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        value = json.dumps(value, ensure_ascii=False)
    return str(value).translate(_ESCAPES)


def _value(field: Any, cell: str) -> Any:
    if cell == "\\N":
        return None
    plain = re.sub(r"\\(.)", lambda found: _PLAIN[found[1]], cell)
    if field.get_internal_type() == "JSONField":
        return json.loads(plain)
    if field.is_relation:
        return UUID(plain)
    return field.to_python(plain)
