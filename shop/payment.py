"""The payment service: payments, and refunds of them."""

from sqlite3 import Connection
from uuid import uuid4

from shop import money
from shop.answer import Refused
from shop.body import Body
from shop.endpoint import Action, Business, Compensation, Effect

# A voided payment (its sale's saga was compensated) counts as refunded in full, whatever becomes
# of the refunds made on it before.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS payments (
    id TEXT PRIMARY KEY,
    customer TEXT NOT NULL,
    amount INTEGER NOT NULL,
    method TEXT NOT NULL,
    voided INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS refunds (
    id TEXT PRIMARY KEY,
    payment TEXT NOT NULL REFERENCES payments (id),
    sale TEXT NOT NULL,
    amount INTEGER NOT NULL,
    reversed INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS refunds_by_payment ON refunds (payment);
CREATE VIEW IF NOT EXISTS balances AS
    SELECT id, amount, CASE WHEN voided THEN amount ELSE (
        SELECT COALESCE(SUM(refunds.amount), 0) FROM refunds
        WHERE refunds.payment = payments.id AND NOT refunds.reversed
    ) END AS refunded FROM payments;
"""


# The card that is always declined, so that a demo needs no fault switch to see a compensation.
_DECLINED = "declined_card"


def _left(db: Connection, payment: str) -> int:
    row = db.execute("SELECT amount - refunded FROM balances WHERE id = ?", (payment,)).fetchone()
    if row is None:
        raise Refused(404, "unknown_payment", f"there is no payment {payment}")
    left: int = row[0]
    return left


def _pay(db: Connection, body: Body) -> Effect:
    customer, amount = body.reference("customer_id"), body.cents("amount")
    method, payment = body.reference("payment_method"), str(uuid4())
    if method == _DECLINED:
        raise Refused(402, "declined", "the card is declined")
    db.execute("INSERT INTO payments VALUES (?, ?, ?, ?, 0)", (payment, customer, amount, method))
    return Effect(201, payment, {"payment_id": payment}, amount)


def _void(db: Connection, payment: str) -> int:
    left = _left(db, payment)
    db.execute("UPDATE payments SET voided = 1 WHERE id = ?", (payment,))
    return left


def _refund(db: Connection, body: Body) -> Effect:
    payment, sale = body.reference("payment_id"), body.reference("sale_id")
    amount, left = body.cents("amount"), _left(db, payment)
    if amount > left:
        detail = f"{money.text(left)} of the payment are left to refund"
        raise Refused(409, "over_refund", detail)
    refund = str(uuid4())
    db.execute("INSERT INTO refunds VALUES (?, ?, ?, ?, 0)", (refund, payment, sale, amount))
    return Effect(201, refund, {"refund_id": refund}, amount)


def _reverse(db: Connection, refund: str) -> int:
    (payment,) = db.execute("SELECT payment FROM refunds WHERE id = ?", (refund,)).fetchone()
    before = _left(db, payment)
    db.execute("UPDATE refunds SET reversed = 1 WHERE id = ?", (refund,))
    return _left(db, payment) - before  # 0 if the payment was voided meanwhile


def _sums(db: Connection) -> dict[str, object]:
    sums = "SELECT COALESCE(SUM(amount), 0), COALESCE(SUM(refunded), 0) FROM balances"
    taken, refunded = db.execute(sums).fetchone()
    return {
        "taken": money.text(taken),
        "refunded": money.text(refunded),
        "net": money.text(taken - refunded),
    }


PAYMENT = Business(
    name="payment",
    decline_status=402,
    schema=_SCHEMA,
    endpoints={
        "/payments": Action("process_payment", _pay),
        "/payments/refund": Compensation(
            "refund_payment", "process_payment", "payment_id", "refunded", _void
        ),
        "/refunds": Action("process_refund", _refund),
        "/refunds/reverse": Compensation(
            "reverse_refund", "process_refund", "refund_id", "reversed", _reverse
        ),
    },
    sums=_sums,
)
