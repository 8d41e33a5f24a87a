"""Make example sagas."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from sagas import seeding, services, tally
from sagas.management import processes


class Command(BaseCommand):
    """`./run manage seed`."""

    help = (
        "Make example sagas in every state, for both types; what is there stays as it is. "
        "With --history, as many sagas of the last 30 days as you like instead."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--history", type=int, metavar="N", help="add N sagas with their past")
        parser.add_argument("--seed", type=int, default=1, help="of what is drawn by chance (1)")

    def handle(self, *args: Any, **options: Any) -> None:
        number = options["history"]
        if number is not None and number < 1:
            raise CommandError("--history takes a number above zero")
        try:
            if number is None:
                self._examples()
            else:
                self._history(number, options["seed"])
        except DatabaseError as error:
            raise processes.database_trouble(error) from error

    def _examples(self) -> None:
        for name, saga_id in seeding.seed():
            status = services.get_saga(saga_id).status
            self.stdout.write(f"{saga_id}  {status:<12} {name}")

    def _history(self, number: int, seed: int) -> None:
        started = time.monotonic()
        made = seeding.make_history(number, seed=seed, told=self._tell)
        if not made.counts:
            raise CommandError("SAGA_EXECUTORS names neither purchases nor returns: none was made")
        tally.catch_up()
        for (saga_type, name), count in sorted(made.counts.items()):
            self.stdout.write(f"{count:>9}  {saga_type:<14} {name.replace('_', ' ')}")
        since, until = (f"{at:%Y-%m-%d %H:%M}" for at in (made.since, made.until))
        took = time.monotonic() - started
        self.stdout.write(f"{number:>9}  sagas, {since} to {until} UTC, in {took:.0f} s")

    def _tell(self, made: int) -> None:
        if made % 100_000 == 0:
            self.stdout.write(f"{made:>9}  written so far")
            self.stdout.flush()
