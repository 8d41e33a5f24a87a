"""Delete what ended long ago."""

from __future__ import annotations

import re
import signal
import sys
import time
from argparse import ArgumentTypeError
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from sagas import selectors, services
from sagas.domain.state import ENDED, SagaStatus
from sagas.engine.purge import Old
from sagas.management import processes

_USUALLY = (SagaStatus.COMPLETED.value, SagaStatus.COMPENSATED.value)
_LONGEST_PAUSE = 10.0
_TELL_EVERY = 10.0


def _age(text: str) -> timedelta:
    """Whole days: who sends a request again, and what counts ended sagas, has a day at least."""
    found = re.fullmatch(r"([1-9][0-9]{0,4})d", text)
    if found is None:
        raise ArgumentTypeError("it is a number of days, at least one, such as 90d")
    return timedelta(days=int(found[1]))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 10**9):
        raise ArgumentTypeError("it is a number above zero")
    return int(text)


def _batch(text: str) -> int:
    if _number(text) > 5000:
        raise ArgumentTypeError("it is at most 5000")
    return int(text)


class Command(BaseCommand):
    """Exit status: 0 all is gone that should be, 1 an error, 128 + n stopped by signal n."""

    help = (
        "Delete sagas that ended long ago, with their steps, events and proposals, and bulk "
        "operations that ended as long ago. Sagas that are pending, in progress, waiting for an "
        "approval or part of a bulk operation under way stay, and failed ones unless asked for."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--older-than", type=_age, required=True, metavar="DAYS", help="such as 90d")
        add(
            "--status",
            action="append",
            choices=sorted(status.value for status in ENDED),
            help="may be repeated; completed and compensated if not given",
        )
        add(
            "--archive",
            type=Path,
            metavar="PATH",
            help="write each saga here before it is deleted: a file to append JSON lines to, a "
            "new one that ends in .gz, or a folder, for a new file in it",
        )
        add("--batch", type=_batch, default=200, help="sagas in one transaction (200)")
        add("--limit", type=_number, metavar="N", help="delete N sagas at most")
        add("--dry-run", action="store_true", help="count only")

    def handle(self, *args: Any, **options: Any) -> None:
        statuses = [SagaStatus(name) for name in options["status"] or _USUALLY]
        try:
            before = selectors.database_now() - options["older_than"]
            old = Old(statuses=statuses, before=before)
            if options["dry_run"]:
                self._count(old)
            else:
                self._purge(old, options)
        except DatabaseError as error:
            raise processes.database_trouble(error) from error

    def _count(self, old: Old) -> None:
        counts, first, bulks = services.would_go(old)
        for (saga_type, status), count in sorted(counts.items()):
            self.stdout.write(f"{count:>9}  {saga_type} {status}")
        since = f", the first of {first:%Y-%m-%d %H:%M} UTC" if first else ""
        self.stdout.write(f"{counts.total():>9}  sagas that ended before {_text(old)}{since}")
        self.stdout.write(f"{bulks:>9}  bulk operations; nothing was deleted")

    def _purge(self, old: Old, options: dict[str, Any]) -> None:
        archive = services.Archive(options["archive"]) if options["archive"] else None
        gone: Counter[str] = Counter()
        started = time.monotonic()
        try:
            with _until_stopped() as stopped:
                self._delete(old, options, archive, gone, stopped)
        except DatabaseError:
            self._tell(gone, started, old)
            raise
        except services.CannotArchive as error:
            self._tell(gone, started, old)
            raise CommandError(
                f"{error}; nothing that is not in the archive was deleted"
            ) from error
        finally:
            if archive:
                archive.close()
        self._tell(gone, started, old)
        if archive and (gone["sagas"] or gone["bulk operations"]):
            self.stdout.write(f"archived in {archive.path}")
        if gone["kept"]:
            self.stdout.write(f"{gone['kept']} sagas stay: their rows cannot be read")
        if stopped:
            self.stdout.write("stopped before the end; the next purge goes on")
            sys.exit(128 + stopped[0])

    def _delete(
        self,
        old: Old,
        options: dict[str, Any],
        archive: services.Archive | None,
        gone: Counter[str],
        stopped: list[int],
    ) -> None:
        """Delete until nothing is left or a signal came, and count what is gone."""
        for items in services.purge_bulk_operations(old.before, archive=archive):
            gone.update({"bulk operations": 1, "items": items})
            if stopped:
                return
        began = told = time.monotonic()
        for batch in services.purge(
            old, batch=options["batch"], limit=options["limit"], archive=archive
        ):
            for name in ("sagas", "steps", "events", "proposals", "kept"):
                gone[name] += getattr(batch, name)
            if time.monotonic() - told >= _TELL_EVERY and batch.last:
                told = time.monotonic()
                until = f"{batch.last.ended_at:%Y-%m-%d %H:%M}"
                self.stdout.write(f"{gone['sagas']:>9}  sagas deleted so far, to {until}")
                self.stdout.flush()
            # As long as the batch took: whatever the load, half of the time is left to others.
            if not stopped:
                time.sleep(min(time.monotonic() - began, _LONGEST_PAUSE))
            if stopped:
                return
            began = time.monotonic()

    def _tell(self, gone: Counter[str], started: float, old: Old) -> None:
        took = time.monotonic() - started
        self.stdout.write(
            f"{gone['sagas']} sagas that ended before {_text(old)} deleted in {took:.0f} s: "
            f"{gone['steps']} steps, {gone['events']} events, {gone['proposals']} proposals; "
            f"{gone['bulk operations']} bulk operations"
        )


def _text(old: Old) -> str:
    return f"{old.before:%Y-%m-%d %H:%M} UTC"


@contextmanager
def _until_stopped() -> Iterator[list[int]]:
    """The signals that asked for an end; a second one ends at once, as the batch is undone then."""
    came: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGINT)

    def note(number: int, frame: object) -> None:
        came.append(number)
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
