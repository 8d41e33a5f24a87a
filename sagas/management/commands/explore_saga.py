"""Crash a saga type everywhere, before it goes live."""

from __future__ import annotations

import json
import logging
import os
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection

from executors.base import SagaExecutor
from executors.registry import registry
from executors.sample import NoSample
from sagas.domain import strictjson
from sagas.exploration.explore import Explored, explore, scenarios
from sagas.exploration.play import Played
from sagas.services import InvalidData


class Command(BaseCommand):
    """`./run manage explore_saga …`."""

    help = (
        "Run a saga type with a crash before and after each statement, commit, call and use of "
        "its code, in a scratch database and against a stand-in for its participants; see that "
        "it recovers every time, and print what was found."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("type", help="the saga type, as `manage.py saga types` lists it")
        parser.add_argument("--definition-version", type=int, help="an older version of it")
        parser.add_argument("--data", type=Path, metavar="FILE", help="JSON; else its `example`")
        parser.add_argument("--scenario", help="only this one")
        parser.add_argument("--every", type=_whole, default=1, metavar="N", help="each n-th point")
        parser.add_argument("--summary", action="store_true", help="a line a scenario, no table")

    def handle(self, *args: Any, **options: Any) -> None:
        executor = _executor(options["type"], options["definition_version"])
        data = _data(executor, options["data"])
        bad = plays = 0
        with _scratch_database(), _quiet():
            try:
                for explored in explore(
                    executor, data, only=options["scenario"], every=options["every"]
                ):
                    plays += len(explored.plays)
                    bad += len(explored.bad)
                    self._show(explored, summary=options["summary"])
            except InvalidData as invalid:
                raise CommandError(f"the data does not fit: {json.dumps(invalid.errors)}") from None
            except NoSample as error:
                raise CommandError(f"no answer can be made up: {error}") from None
        if plays == 0:
            known = ", ".join(scenario.name for scenario in scenarios(executor))
            raise CommandError(f"no scenario {options['scenario']!r}; there are: {known}")
        if bad:
            raise CommandError(f"{bad} of {plays} runs broke a promise")
        self.stdout.write(f"{plays} runs, all of them as promised")

    def _show(self, explored: Explored, *, summary: bool) -> None:
        good = len(explored.plays) - len(explored.bad)
        self.stdout.write(
            f"{explored.scenario.name}: {explored.boundaries} boundaries, "
            f"{len(explored.plays)} runs, {good} as promised"
        )
        for play in explored.bad if summary else explored.plays:
            self.stdout.write(_line(play))
        self.stdout.flush()


def _whole(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ArgumentTypeError(f"{number} is not above zero")
    return number


def _line(play: Played) -> str:
    at = (
        f"{play.point.when:<6} {play.point.number:>3} {play.boundary}" if play.point else "no crash"
    )
    verdict = "; ".join(play.problems) or "ok"
    return f"  {at:<42} {play.status:<12} {play.calls:>3} calls {play.claims:>3} claims  {verdict}"


def _executor(saga_type: str, version: int | None) -> SagaExecutor:
    found = registry.newest(saga_type)
    if version is not None:
        found = registry.find(saga_type, version)
    if found is None:
        known = ", ".join(registry.types())
        raise CommandError(f"no saga type {saga_type!r} in that version; there are: {known}")
    return found


def _data(executor: SagaExecutor, path: Path | None) -> Any:
    if path is None:
        if not executor.example:
            raise CommandError(
                f"{executor.saga_type} has no data: give it an `example = {{…}}`, or use --data"
            )
        return dict(executor.example)
    try:
        return strictjson.loads(path.read_bytes())
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise CommandError(f"{path}: {error}") from None


@contextmanager
def _scratch_database() -> Iterator[None]:
    """A new, empty database beside the present one, which is not touched."""
    usual = connection.settings_dict["NAME"]
    connection.settings_dict["TEST"]["NAME"] = _scratch_name(str(usual))
    try:
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    except (DatabaseError, SystemExit) as error:
        raise CommandError(f"no scratch database could be made: {error}") from error
    try:
        yield
    finally:
        connection.close()
        connection.creation.destroy_test_db(usual, verbosity=0)


def _scratch_name(usual: str) -> str:
    name = f"explore_saga_{os.getpid()}"
    return f"{usual}.{name}" if connection.vendor == "sqlite" else name


@contextmanager
def _quiet() -> Iterator[None]:
    """The log would tell of every lost lease and answer: that is what is asked for here."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
