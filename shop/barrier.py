"""The barrier: keys of actions that a compensation has shut out for ever."""

from sqlite3 import Connection

SCHEMA = """
CREATE TABLE IF NOT EXISTS barriers (
    key TEXT PRIMARY KEY,
    barred_by TEXT NOT NULL
) WITHOUT ROWID;
"""


def bar(db: Connection, key: str, barred_by: str) -> None:
    """Shut this action's key out; again is no error."""
    db.execute("INSERT INTO barriers VALUES (?, ?) ON CONFLICT DO NOTHING", (key, barred_by))


def is_barred(db: Connection, key: str) -> bool:
    """Tell whether a compensation of this action's key was here."""
    return db.execute("SELECT 1 FROM barriers WHERE key = ?", (key,)).fetchone() is not None
