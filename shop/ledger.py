"""The ledger: one row for each call that arrived, whatever came of it."""

from sqlite3 import Connection

from shop import money
from shop.call import Call

SCHEMA = """
CREATE TABLE IF NOT EXISTS ledger (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    service TEXT NOT NULL,
    step TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('action', 'compensation')),
    key TEXT,
    compensates TEXT,
    saga_id TEXT,
    run TEXT,
    body_sha256 TEXT,
    outcome TEXT NOT NULL CHECK (outcome IN
        ('applied', 'replayed', 'refused', 'barred', 'noop', 'checked', 'faulted')),
    amount INTEGER,
    status INTEGER
);
CREATE INDEX IF NOT EXISTS ledger_by_saga ON ledger (saga_id, seq);
"""


def enter(
    db: Connection,
    service: str,
    call: Call,
    *,
    outcome: str,
    status: int | None,
    amount: int | None = None,
) -> None:
    """Add the row of a call; without an amount, the one that its body asks for is entered."""
    db.execute(
        "INSERT INTO ledger VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            call.at,
            service,
            call.step,
            call.endpoint.kind,
            call.key,
            call.compensates,
            call.saga_id,
            call.run,
            call.body_sha256,
            outcome,
            call.amount if amount is None else amount,
            status,
        ),
    )


def entries(db: Connection, saga_id: str | None, after: int) -> list[dict[str, object]]:
    """Return the rows past `after`, oldest first, of one saga or of all."""
    if saga_id is None:
        rows = db.execute("SELECT * FROM ledger WHERE seq > ? ORDER BY seq", (after,))
    else:
        of_saga = "SELECT * FROM ledger WHERE saga_id = ? AND seq > ? ORDER BY seq"
        rows = db.execute(of_saga, (saga_id, after))
    names = [column[0] for column in rows.description]
    entries = [dict(zip(names, row, strict=True)) for row in rows]
    for entry in entries:
        if entry["amount"] is not None:
            entry["amount"] = money.text(entry["amount"])
    return entries
