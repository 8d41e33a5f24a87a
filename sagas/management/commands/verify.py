"""Hold the database against the participants' ledgers: `./run verify`."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentTypeError
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection

from sagas.management.processes import require_schema
from sagas.verify.program import Options, participants, verify
from sagas.verify.sources import CannotCheck


class Command(BaseCommand):
    """Checks the promises. Exit status: 0 all kept, 1 violations, 2 could not check."""

    help = (
        "Check what the database and the participants' ledgers say against each other, and name "
        "every promise that was not kept. Exit status: 0 none, 1 some, 2 could not check."
    )
    # A wrong setting is no violation; what is needed of them is asked for below.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add(
            "--ledger",
            action="append",
            default=[],
            metavar="[NAME=]SOURCE",
            help="base URL of a participant, or a file of JSON lines; may be repeated",
        )
        add("--participants", action="store_true", help="the ledgers of all participants")
        add("--clients", type=Path, help="JSON lines of what clients were told")
        add("--secrets", type=Path, help="a file with a secret a line")
        add("--scan", type=Path, action="append", default=[], help="a file to search for secrets")
        rest = parser.add_mutually_exclusive_group()
        rest.add_argument(
            "--settled",
            action="store_true",
            default=True,
            help="all should have come to rest (the default)",
        )
        rest.add_argument(
            "--running",
            action="store_true",
            help="sagas run meanwhile: leave out what holds only at rest",
        )
        add("--skew", type=float, default=0.05, help="seconds by which clocks may differ")
        add(
            "--duplicating-network",
            action="store_true",
            help="a call that was sent once may arrive more than once",
        )
        add(
            "--since",
            type=_moment,
            metavar="DATE",
            help="the day until which sagas were purged: calls of older ones are no violation, and "
            "no sums are made",
        )
        add("--json", action="store_true", help="the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        ledgers = tuple(options["ledger"])
        asked = Options(
            ledgers=ledgers + (participants() if options["participants"] else ()),
            clients=options["clients"],
            secrets=options["secrets"],
            scan=tuple(options["scan"]),
            settled=not options["running"],
            skew=options["skew"],
            duplicating_network=options["duplicating_network"],
            since=options["since"],
        )
        try:
            _require_database()
            report = verify(asked)
        except (CannotCheck, CommandError) as error:
            raise CommandError(str(error), returncode=2) from error
        except DatabaseError as error:
            why = " ".join(str(error).split())
            raise CommandError(f"the database cannot be read: {why}", returncode=2) from error
        if options["json"]:
            self.stdout.write(json.dumps(report.as_json(), indent=2))
        else:
            for line in report.lines():
                self.stdout.write(line)
        if report.violations:
            sys.exit(1)


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no date, such as 2026-08-01") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _require_database() -> None:
    """Raises CannotCheck or CommandError unless there is one that has the tables."""
    name = str(connection.settings_dict["NAME"])
    # SQLite would make the file, and this only reads.
    if connection.vendor == "sqlite" and not Path(name).is_file():
        raise CannotCheck(
            f"there is no database {name}: set SAGA_STATE_DIR to the folder of "
            "sagas.sqlite3, or DATABASE_URL to the service's database"
        )
    require_schema()
