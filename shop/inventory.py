"""The inventory: stock per store and product, reservations of it, and restocks."""

import json
from collections.abc import Mapping
from sqlite3 import Connection
from uuid import uuid4

from shop.answer import Refused
from shop.body import Body
from shop.endpoint import Action, Business, Check, Compensation, Effect

_PIECES = 1_000_000
_PRODUCTS = {str(number): _PIECES for number in range(1, 1001)} | {"999": 0}

# A stock row comes into being with the first piece that moves; the sum of its counts never changes.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS stock (
    store TEXT NOT NULL,
    product TEXT NOT NULL,
    available INTEGER NOT NULL,
    reserved INTEGER NOT NULL DEFAULT 0,
    taken INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (store, product)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reservations (
    id TEXT PRIMARY KEY,
    store TEXT NOT NULL,
    pieces TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('reserved', 'taken', 'released'))
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS restocks (
    id TEXT PRIMARY KEY,
    store TEXT NOT NULL,
    sale TEXT NOT NULL,
    pieces TEXT NOT NULL
) WITHOUT ROWID;
"""

_AVAILABLE = "SELECT available FROM stock WHERE store = ? AND product = ?"
_NEW_STOCK = "INSERT INTO stock (store, product, available) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_MOVE = """
UPDATE stock
SET available = available + :available, reserved = reserved + :reserved, taken = taken + :taken
WHERE store = :store AND product = :product
"""


def _move(db: Connection, store: str, pieces: Mapping[str, int], source: str, target: str) -> None:
    for product, quantity in pieces.items():
        db.execute(_NEW_STOCK, (store, product, _PRODUCTS[product]))
        change = {"available": 0, "reserved": 0, "taken": 0, source: -quantity, target: quantity}
        db.execute(_MOVE, {"store": store, "product": product, **change})


def _known(body: Body) -> dict[str, int]:
    pieces = body.pieces()
    for product in pieces:
        if product not in _PRODUCTS:
            raise Refused(404, "unknown_product", f"there is no product {product}")
    return pieces


def _in_stock(db: Connection, body: Body) -> tuple[str, dict[str, int]]:
    store, pieces = body.reference("store_id"), _known(body)
    for product, quantity in pieces.items():
        row = db.execute(_AVAILABLE, (store, product)).fetchone()
        available = row[0] if row else _PRODUCTS[product]
        if available < quantity:
            detail = f"{available} of product {product} are left, {quantity} are asked for"
            raise Refused(409, "out_of_stock", detail)
    return store, pieces


def _reservation(db: Connection, reservation: str) -> tuple[str, dict[str, int], str]:
    row = db.execute(
        "SELECT store, pieces, status FROM reservations WHERE id = ?", (reservation,)
    ).fetchone()
    if row is None:
        raise Refused(404, "unknown_reservation", f"there is no reservation {reservation}")
    return row[0], json.loads(row[1]), row[2]


def _mark(db: Connection, reservation: str, status: str) -> None:
    db.execute("UPDATE reservations SET status = ? WHERE id = ?", (status, reservation))


def _validate(db: Connection, body: Body) -> dict[str, object]:
    _in_stock(db, body)
    return {"available": True}


def _reserve(db: Connection, body: Body) -> Effect:
    store, pieces = _in_stock(db, body)
    reservation = str(uuid4())
    _move(db, store, pieces, "available", "reserved")
    db.execute(
        "INSERT INTO reservations VALUES (?, ?, ?, 'reserved')",
        (reservation, store, json.dumps(pieces)),
    )
    return Effect(201, reservation, {"reservation_id": reservation})


def _release(db: Connection, reservation: str) -> None:
    store, pieces, status = _reservation(db, reservation)
    _move(db, store, pieces, status, "available")
    _mark(db, reservation, "released")


def _commit(db: Connection, body: Body) -> Effect:
    reservation = body.reference("reservation_id")
    store, pieces, status = _reservation(db, reservation)
    if status != "reserved":
        raise Refused(409, f"reservation_{status}", f"the reservation is already {status}")
    _move(db, store, pieces, "reserved", "taken")
    _mark(db, reservation, "taken")
    return Effect(200, reservation, {"reservation_id": reservation, "committed": True})


def _restock(db: Connection, body: Body) -> Effect:
    store, sale, pieces = body.reference("store_id"), body.reference("sale_id"), _known(body)
    restock = str(uuid4())
    _move(db, store, pieces, "taken", "available")
    db.execute(
        "INSERT INTO restocks VALUES (?, ?, ?, ?)", (restock, store, sale, json.dumps(pieces))
    )
    return Effect(201, restock, {"restock_id": restock})


def _reverse(db: Connection, restock: str) -> None:
    store, pieces = db.execute(
        "SELECT store, pieces FROM restocks WHERE id = ?", (restock,)
    ).fetchone()
    # What is available may fall below zero: a compensation does not refuse for lack of stock.
    _move(db, store, json.loads(pieces), "available", "taken")


def _sums(db: Connection) -> dict[str, object]:
    products = "SELECT product, SUM(available) FROM stock GROUP BY product"
    totals = "SELECT COALESCE(SUM(reserved), 0), COALESCE(SUM(taken), 0) FROM stock"
    reserved, taken = db.execute(totals).fetchone()
    return {"available": dict(db.execute(products)), "reserved": reserved, "taken": taken}


INVENTORY = Business(
    name="inventory",
    decline_status=409,
    schema=_SCHEMA,
    endpoints={
        "/inventory/validate": Check("validate_inventory", _validate),
        "/reservations": Action("reserve_inventory", _reserve),
        "/reservations/release": Compensation(
            "release_inventory", "reserve_inventory", "reservation_id", "released", _release
        ),
        "/reservations/commit": Action("update_inventory", _commit),
        "/restocks": Action("restore_inventory", _restock),
        "/restocks/reverse": Compensation(
            "reverse_inventory_restore", "restore_inventory", "restock_id", "reversed", _reverse
        ),
    },
    sums=_sums,
)
