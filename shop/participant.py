"""One participant: its business, its store and its fault switches."""

from collections.abc import Mapping
from pathlib import Path

from shop import barrier, ledger, protocol, record
from shop.answer import Answer
from shop.call import Call
from shop.endpoint import Business, Endpoint
from shop.fault import Fault
from shop.reply import Reply
from shop.store import Store
from shop.switchboard import Switchboard


class Participant:
    """Answers calls; the effect, its record, its barrier and its ledger row are one transaction."""

    def __init__(self, business: Business, state: Path) -> None:
        schema = business.schema + record.SCHEMA + barrier.SCHEMA + ledger.SCHEMA
        self.name = business.name
        self.switches = Switchboard()
        self._business = business
        self._store = Store(state / f"{business.name}.sqlite3", schema)

    def endpoint(self, path: str) -> Endpoint | None:
        """Return what is offered at this path."""
        return self._business.endpoints.get(path)

    def answer(self, call: Call) -> Answer:
        """Give the call its effect, at most once, and return the answer."""
        with self._store.transaction() as db:
            verdict = protocol.judge(db, call)
            ledger.enter(
                db,
                self.name,
                call,
                outcome=verdict.outcome,
                status=verdict.answer.status,
                amount=verdict.amount,
            )
        return verdict.answer

    def prevent(self, call: Call, fault: Fault) -> Reply:
        """Let the fault take the place of the effect."""
        reply = fault.instead(self._business.decline_status)
        status = reply.answer.status if reply.answer else None
        with self._store.transaction() as db:
            ledger.enter(db, self.name, call, outcome="faulted", status=status)
        return reply

    def ledger(self, saga_id: str | None, after: int) -> list[dict[str, object]]:
        """Return the calls that arrived past this row, of one saga or of all."""
        with self._store.reading() as db:
            return ledger.entries(db, saga_id, after)

    def sums(self) -> Mapping[str, object]:
        """Return what all effects together come to."""
        with self._store.reading() as db:
            return self._business.sums(db)

    def close(self) -> None:
        """Close the store."""
        self._store.close()
