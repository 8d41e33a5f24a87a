"""Reads that are made all the time: making their statement takes longer than running it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from django.db import (
    DEFAULT_DB_ALIAS,
    NotSupportedError,
    OperationalError,
    connection,
    connections,
)
from django.db.models import Field, QuerySet
from psycopg import Cursor

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
        found = fetched(sql, [self._by.get_db_prep_value(value, connection)])
        return [_converted(row, converters) for row in found] if converters else found

    @cached_property
    def _made(self) -> tuple[str, _Converters]:
        compiler = self._make().query.get_compiler(connection=connection)
        sql, parameters = compiler.as_sql()
        if len(parameters) != 1:
            raise ValueError("the statement must have one parameter")
        return sql, compiler.get_converters([column for column, _, _ in compiler.select])


def fetched(sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """All rows of a statement whose text is always the same. Raises Django's errors.

    PostgreSQL parses and plans it once for a connection: Django's own cursors put the values into
    the text. To Django's wrappers it shows itself as any other.
    """
    # Once: what stands for it in `django.db` looks it up for every attribute.
    database: Any = connections[DEFAULT_DB_ALIAS]
    try:
        return _asked(database, sql, values)
    except NotSupportedError as error:
        # Prepared before a migration changed a column's type: this connection would never do it.
        database.close()
        if database.in_atomic_block:
            raise OperationalError(*error.args) from error
    return _asked(database, sql, values)


def _asked(database: Any, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    if database.vendor != "postgresql":
        with database.cursor() as cursor:
            return _rows(cursor, sql, values)
    database.close_if_health_check_failed()
    database.ensure_connection()
    if database.execute_wrappers or database.queries_logged:  # somebody looks on
        with database._prepare_cursor(Cursor(database.connection)) as cursor:
            return _rows(cursor, sql, values)
    database.validate_thread_sharing()
    database.validate_no_broken_transaction()
    with database.wrap_database_errors:
        return _rows(_own_cursor(database.connection), sql, values)


def _rows(cursor: Any, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    cursor.execute(sql, values)
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _own_cursor(connection: Any) -> Cursor[Any]:
    """The connection's cursor for these statements: making one takes a quarter of running it."""
    found: Cursor[Any] | None = vars(connection).get("own_cursor")
    if found is None:
        found = connection.own_cursor = Cursor(connection)
    return found


def _converted(row: tuple[Any, ...], converters: _Converters) -> tuple[Any, ...]:
    values = list(row)
    for position, (functions, column) in converters.items():
        for convert in functions:
            values[position] = convert(values[position], column, connection)
    return tuple(values)
