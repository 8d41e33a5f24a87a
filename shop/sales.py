"""The sales service: sales, and returns of them."""

import json
from sqlite3 import Connection
from uuid import uuid4

from shop import money
from shop.answer import Refused
from shop.body import Body
from shop.endpoint import Action, Business, Check, Compensation, Effect

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sales (
    id TEXT PRIMARY KEY,
    store TEXT NOT NULL,
    customer TEXT NOT NULL,
    pieces TEXT NOT NULL,
    amount INTEGER NOT NULL,
    reservation TEXT NOT NULL,
    payment TEXT NOT NULL,
    cancelled INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS returns (
    id TEXT PRIMARY KEY,
    sale TEXT NOT NULL REFERENCES sales (id),
    refund TEXT NOT NULL,
    restock TEXT NOT NULL,
    amount INTEGER NOT NULL,
    reversed INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS returns_by_sale ON returns (sale);
"""
_SALE = """
SELECT payment, cancelled, amount - (
    SELECT COALESCE(SUM(returns.amount), 0) FROM returns
    WHERE returns.sale = sales.id AND NOT returns.reversed
) FROM sales WHERE id = ?
"""
_SUMS = """
SELECT COUNT(*) FILTER (WHERE NOT cancelled), COUNT(*) FILTER (WHERE cancelled),
    (SELECT COALESCE(SUM(amount), 0) FROM returns WHERE NOT reversed)
FROM sales
"""


def _returnable(db: Connection, sale: str, amount: int) -> str:
    row = db.execute(_SALE, (sale,)).fetchone()
    if row is None:
        raise Refused(404, "unknown_sale", f"there is no sale {sale}")
    payment: str = row[0]
    cancelled, left = row[1:]
    if cancelled:
        raise Refused(409, "not_returnable", "the sale was cancelled")
    if amount > left:
        detail = f"{money.text(left)} of the sale are left to return"
        raise Refused(409, "not_returnable", detail)
    return payment


def _create(db: Connection, body: Body) -> Effect:
    sale, amount = str(uuid4()), body.cents("amount")
    references = [body.reference(name) for name in ("store_id", "customer_id")]
    references += [json.dumps(body.pieces())]
    links = [body.reference(name) for name in ("reservation_id", "payment_id")]
    db.execute(
        "INSERT INTO sales VALUES (?, ?, ?, ?, ?, ?, ?, 0)", (sale, *references, amount, *links)
    )
    return Effect(201, sale, {"sale_id": sale}, amount)


def _cancel(db: Connection, sale: str) -> int:
    db.execute("UPDATE sales SET cancelled = 1 WHERE id = ?", (sale,))
    (amount,) = db.execute("SELECT amount FROM sales WHERE id = ?", (sale,)).fetchone()
    return int(amount)


def _validate(db: Connection, body: Body) -> dict[str, object]:
    body.pieces()
    payment = _returnable(db, body.reference("sale_id"), body.cents("amount"))
    return {"returnable": True, "payment_id": payment}


def _return(db: Connection, body: Body) -> Effect:
    sale, amount = body.reference("sale_id"), body.cents("amount")
    refund, restock = body.reference("refund_id"), body.reference("restock_id")
    _returnable(db, sale, amount)
    returned = str(uuid4())
    db.execute(
        "INSERT INTO returns VALUES (?, ?, ?, ?, ?, 0)", (returned, sale, refund, restock, amount)
    )
    return Effect(201, returned, {"return_id": returned}, amount)


def _reverse(db: Connection, returned: str) -> int:
    db.execute("UPDATE returns SET reversed = 1 WHERE id = ?", (returned,))
    (amount,) = db.execute("SELECT amount FROM returns WHERE id = ?", (returned,)).fetchone()
    return int(amount)


def _sums(db: Connection) -> dict[str, object]:
    still_open, cancelled, returned = db.execute(_SUMS).fetchone()
    return {"open": still_open, "cancelled": cancelled, "returned": money.text(returned)}


SALES = Business(
    name="sales",
    decline_status=409,
    schema=_SCHEMA,
    endpoints={
        "/sales": Action("create_sale", _create),
        "/sales/cancel": Compensation(
            "cancel_sale", "create_sale", "sale_id", "cancelled", _cancel
        ),
        "/returns/validate": Check("validate_return", _validate),
        "/returns": Action("update_sale", _return),
        "/returns/reverse": Compensation(
            "reverse_sale_update", "update_sale", "return_id", "reversed", _reverse
        ),
    },
    sums=_sums,
)
