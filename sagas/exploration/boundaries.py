"""The boundaries of a run: each statement and commit, each call, each use of the saga's code."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, cast

from django.db import connection

from sagas.domain.outcome import Outcome
from sagas.domain.state import CallKind, Json
from sagas.engine.ports import Attempt, Executor, StepCall

When = Literal["before", "after"]

_STATEMENT = re.compile(r'(SELECT|INSERT|UPDATE|DELETE)\b.*?(?:FROM|INTO|UPDATE)?\s+"(\w+)"', re.S)
_NOT_COUNTED = re.compile(r"\s*(BEGIN|SAVEPOINT|RELEASE|ROLLBACK|SET|PRAGMA)\b")


class Crash(BaseException):
    """The process ends here. Nothing that serves a living process may catch it."""


@dataclass(frozen=True, slots=True)
class Point:
    """Where a run is to crash: at boundary `number`, from 1, before its effect or after it."""

    number: int
    when: When


class Boundaries:
    """Numbers the boundaries as they are crossed, and crashes at one of them."""

    def __init__(self, crash_at: Point | None = None) -> None:
        self.crossed: list[str] = []
        """What they were, in order."""

        self._crash_at = crash_at

    @property
    def crashed(self) -> bool:
        """Whether the crash took place."""
        return self._crash_at is not None and len(self.crossed) >= self._crash_at.number

    def cross(self, what: str, effect: Callable[[], Any]) -> Any:
        """What the effect gives. Raises Crash instead, before it or after it."""
        self.crossed.append(what)
        at = (
            self._crash_at
            if self._crash_at and self._crash_at.number == len(self.crossed)
            else None
        )
        if at is not None and at.when == "before":
            raise Crash
        result = effect()
        if at is not None:
            raise Crash
        return result

    @contextmanager
    def of_the_database(self) -> Iterator[None]:
        """Count the statements and commits of this thread's connection meanwhile."""

        def statement(execute: Any, sql: str, *rest: Any) -> Any:
            if _NOT_COUNTED.match(sql):
                return execute(sql, *rest)
            return self.cross(_shown(sql), lambda: execute(sql, *rest))

        handle = cast(Any, connection)
        real = handle._commit

        def commit() -> None:
            try:
                self.cross("commit", real)
            except Crash:
                # The connection of a dead process is rolled back; Django's, on its way out,
                # would turn autocommit on, which commits.
                handle._rollback()
                raise

        handle._commit = commit
        try:
            with connection.execute_wrapper(statement):
                yield
        finally:
            del handle._commit

    def of(self, executor: Executor) -> Executor:
        """The executor, with its code and its calls counted."""
        return _Counted(executor, self)


class _Counted:
    def __init__(self, executor: Executor, boundaries: Boundaries) -> None:
        self._executor = executor
        self._boundaries = boundaries
        self.definition = executor.definition

    def prepare(self, call: StepCall) -> Json:
        what = f"build {self._name(call)}"
        built: Json = self._boundaries.cross(what, lambda: self._executor.prepare(call))
        return built

    def perform(self, attempt: Attempt) -> Outcome:
        what = f"call {self._name(attempt.call)}"
        outcome: Outcome = self._boundaries.cross(what, lambda: self._executor.perform(attempt))
        return outcome

    def _name(self, call: StepCall) -> str:
        if call.kind is CallKind.ACTION:
            return call.step
        return self.definition.step(call.step).compensation


def _shown(sql: str) -> str:
    found = _STATEMENT.match(sql)
    if found is None:
        return "select the time"  # the only one without a table
    word, table = found[1].lower(), found[2]
    if word == "select":
        tables = re.findall(r'FROM "(\w+)"', sql)
        table = tables[0] if tables else table
    return f"{word} {table.removeprefix('sagas_')}"
