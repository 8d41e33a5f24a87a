"""The idempotency records: which key had which effect, and what it was answered."""

from dataclasses import astuple, dataclass
from sqlite3 import Connection, Cursor

from shop.answer import Answer

SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    key TEXT PRIMARY KEY,
    endpoint TEXT NOT NULL,
    saga_id TEXT,
    body_sha256 TEXT NOT NULL,
    reference TEXT,
    amount INTEGER,
    status INTEGER NOT NULL,
    answer TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS records_by_reference ON records (reference);
"""


@dataclass(frozen=True, slots=True)
class Record:
    """One applied action, or one answered compensation."""

    key: str
    endpoint: str
    saga_id: str | None
    body_sha256: str
    reference: str | None
    amount: int | None
    status: int
    text: str

    @property
    def answer(self) -> Answer:
        """The answer to give again."""
        return Answer(self.status, self.text)


def find(db: Connection, key: str) -> Record | None:
    """Return what was recorded under this key."""
    return _record(db.execute("SELECT * FROM records WHERE key = ?", (key,)))


def find_action(
    db: Connection, endpoint: str, saga_id: str | None, reference: str
) -> Record | None:
    """Return the record of the action of this saga that has this reference."""
    one = "SELECT * FROM records WHERE reference = ? AND endpoint = ? AND saga_id IS ?"
    return _record(db.execute(one, (reference, endpoint, saga_id)))


def keep(db: Connection, record: Record) -> None:
    """Record a new key."""
    db.execute("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?)", astuple(record))


def _record(rows: Cursor) -> Record | None:
    row = rows.fetchone()
    return None if row is None else Record(*row)
