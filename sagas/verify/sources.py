"""Where ledgers come from: participants over HTTP, and files of JSON lines."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, Self

import requests
from django.conf import settings

from executors import credentials
from sagas.domain import strictjson
from sagas.verify.entry import BadEntry, Entry, entry_of

_PAGE = 5000
_TIMEOUT = 60.0
_NO_LEDGER = (404, 405, 501)
_NAMED = re.compile(r"([A-Za-z0-9_-]+)=(.+)", re.S)


class CannotCheck(Exception):
    """Something that is needed cannot be read; says what and why."""


class Source(NamedTuple):
    """A ledger: whose, if that is known, and its base URL or file."""

    name: str
    place: str

    @classmethod
    def of(cls, text: str) -> Self:
        """A source as it is given: `PLACE` or `NAME=PLACE`."""
        named = _NAMED.fullmatch(text)
        return cls(named[1], named[2]) if named else cls("", text)

    @property
    def is_url(self) -> bool:
        """Whether it is asked over HTTP."""
        return self.place.startswith(("http://", "https://"))

    def entries(self) -> Iterator[Any]:
        """What it has, as JSON values. Raises CannotCheck."""
        return _pages(self) if self.is_url else json_lines(Path(self.place))

    def login(self) -> dict[str, str]:
        """The headers that let us in: those of a participant, at its own address only."""
        own = settings.SAGA_PARTICIPANTS.get(self.name) == self.place
        return credentials.headers(self.name) if own else {}

    def state(self) -> Mapping[str, Any]:
        """Its sums; empty where it has none to show. Raises CannotCheck."""
        if not self.is_url:
            return {}
        try:
            value = _get(self, "/state")
        except CannotCheck:
            return {}  # no part of what a participant must serve
        return value if isinstance(value, dict) else {}


def json_lines(path: Path) -> Iterator[Any]:
    """The values in a file of JSON lines; empty lines are passed over. Raises CannotCheck."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    try:
                        yield strictjson.loads(line)
                    except ValueError as error:
                        raise CannotCheck(f"{path}, line {number}: {error}") from None
    except OSError as error:
        raise CannotCheck(f"{path} cannot be read: {error.strerror}") from error


def _pages(source: Source) -> Iterator[Any]:
    after = 0
    while True:
        value = _get(source, f"/ledger?after={after}&limit={_PAGE}")
        entries = value.get("entries") if isinstance(value, dict) else None
        if not isinstance(entries, list):
            raise CannotCheck(f"{source.place}/ledger gave no object with a list of entries")
        numbers = [
            e["seq"] for e in entries if isinstance(e, dict) and isinstance(e.get("seq"), int)
        ]
        yield from entries
        if max(numbers, default=0) <= after:
            return
        after = max(numbers)


def _get(source: Source, path: str) -> Any:
    base = source.place
    try:
        with requests.Session() as session:
            session.trust_env = False
            session.headers.update(source.login())
            answer = session.get(base.rstrip("/") + path, timeout=_TIMEOUT, allow_redirects=False)
    except requests.RequestException as error:
        raise CannotCheck(f"{base} cannot be reached: {_why(error)}") from error
    if answer.status_code != 200:
        none = answer.status_code in _NO_LEDGER and path.startswith("/ledger")
        hint = ": it offers no ledger; use --ledger FILE" if none else ""
        raise CannotCheck(f"{base}{path} answered {answer.status_code}{hint}")
    try:
        return strictjson.loads(answer.content)
    except ValueError as error:
        raise CannotCheck(f"{base}{path} gave no usable JSON: {error}") from None


def _why(error: requests.RequestException) -> str:
    """The system's own words where there are any; the libraries wrap them several times."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
        cause = cause.__cause__ or cause.__context__
    return " ".join(str(error).split())


class Ledger:
    """All entries by saga, in a temporary file: there may be more than fit into memory."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(
            "CREATE TABLE entries (service TEXT, seq INTEGER, saga TEXT, entry TEXT,"
            " PRIMARY KEY (service, seq)) WITHOUT ROWID;"
            "CREATE INDEX by_saga ON entries (saga);"
            "CREATE TABLE sagas (id TEXT PRIMARY KEY) WITHOUT ROWID;"
        )
        self.services: set[str] = set()
        self.calls = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._db.close()

    def read(self, source: Source) -> None:
        """Add a ledger; the same entry again changes nothing. Raises CannotCheck."""
        names = {source.name} if source.name else set()
        with closing(_checked(source)) as rows:
            self._db.execute("BEGIN")
            for entry, text in rows:
                names.add(entry.service)
                row = (entry.service, entry.seq, entry.saga_id, text)
                added = self._db.execute("INSERT OR IGNORE INTO entries VALUES (?, ?, ?, ?)", row)
                self.calls += added.rowcount
                if not added.rowcount and self._other(row):
                    what = f"two different entries have number {entry.seq} of {entry.service}"
                    raise CannotCheck(f"{source.place}: {what}")
            self._db.execute("COMMIT")
        if source.name and names != {source.name}:
            raise CannotCheck(f"{source.place} is the ledger of {', '.join(sorted(names))}")
        self.services |= names

    def _other(self, row: tuple[str, int, str | None, str]) -> bool:
        sql = "SELECT entry FROM entries WHERE service = ? AND seq = ?"
        (text,) = self._db.execute(sql, row[:2]).fetchone()
        return bool(text != row[3])

    def of(self, sagas: Iterable[str]) -> dict[str, list[Entry]]:
        """The entries that name these sagas, which are thereby known ones."""
        found: dict[str, list[Entry]] = {saga: [] for saga in sagas}
        self._db.executemany("INSERT OR IGNORE INTO sagas VALUES (?)", [(id_,) for id_ in found])
        for saga, entries in found.items():
            rows = self._db.execute("SELECT entry FROM entries WHERE saga = ?", (saga,))
            entries += [entry_of(json.loads(text)) for (text,) in rows]
        return found

    def strays(self) -> Iterator[tuple[str, str, int, str]]:
        """Saga, service, number of entries and the first's key, where no saga was known."""
        yield from self._db.execute(
            "SELECT coalesce(saga, ''), service, count(*), min(json_extract(entry, '$.key'))"
            " FROM entries"
            " WHERE saga IS NULL OR saga NOT IN (SELECT id FROM sagas) GROUP BY saga, service"
        )


def _checked(source: Source) -> Generator[tuple[Entry, str]]:
    for number, value in enumerate(source.entries(), start=1):
        try:
            yield entry_of(value), json.dumps(value, sort_keys=True)
        except BadEntry as error:
            raise CannotCheck(f"{source.place}, entry {number}: {error}") from None
