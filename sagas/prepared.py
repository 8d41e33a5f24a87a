"""Reads that are made all the time: making their statement takes longer than running it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from django.db import connection
from django.db.models import Field, QuerySet

_Converters = dict[int, tuple[list[Callable[[Any, Any, Any], Any]], Any]]
"""By column: what makes Python's values of the database's."""


class Prepared:
    """The rows that a `values_list` finds by one value; the same on each kind of database."""

    def __init__(self, make: Callable[[], QuerySet[Any, Any]], by: Field[Any, Any]) -> None:
        """`make` compares the field `by` with something; with what does not matter."""
        self._make = make
        self._by = by

    def rows(self, value: Any) -> list[tuple[Any, ...]]:
        """The rows whose field has the value. One query."""
        sql, converters = self._made
        with connection.cursor() as cursor:
            cursor.execute(sql, [self._by.get_db_prep_value(value, connection)])
            found: list[tuple[Any, ...]] = cursor.fetchall()
        return [_converted(row, converters) for row in found] if converters else found

    @cached_property
    def _made(self) -> tuple[str, _Converters]:
        compiler = self._make().query.get_compiler(connection=connection)
        sql, parameters = compiler.as_sql()
        if len(parameters) != 1:
            raise ValueError("the statement must have one parameter")
        return sql, compiler.get_converters([column for column, _, _ in compiler.select])


def _converted(row: tuple[Any, ...], converters: _Converters) -> tuple[Any, ...]:
    values = list(row)
    for position, (functions, column) in converters.items():
        for convert in functions:
            values[position] = convert(values[position], column, connection)
    return tuple(values)
