"""Money and goods: invariant 19.

What compensations give back is known for every saga type. What a completed saga should have
moved is in its data, and where is known for the types that are shipped: `TRADES`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from sagas.domain.state import CallKind, Json, SagaStatus
from sagas.verify.case import Case, Verdicts
from sagas.verify.entry import APPLIED, Entry
from sagas.verify.history import Call


@dataclass(frozen=True, kw_only=True, slots=True)
class Trade:
    """What a completed saga of a type comes to."""

    step: str
    """The action that moves the money."""

    sign: int
    """1 if the shop gets the money and gives the goods, -1 for the other way."""


TRADES: Mapping[str, Trade] = {
    "purchase_saga": Trade(step="process_payment", sign=1),
    "return_saga": Trade(step="process_refund", sign=-1),
}
Sum = tuple[str, str]
"""A participant, and the name under which its `/state` has a sum."""

NET: Sum = ("payment", "net")
_STOCK: tuple[Sum, ...] = (("inventory", "taken"), ("inventory", "reserved"))
_SALES: tuple[Sum, ...] = (("sales", "open"), ("sales", "returned"))


def moves(saga_type: str, entries: Iterable[Entry]) -> list[Decimal]:
    """What each of a saga's calls brought the shop, in the order in which they came."""
    trade = TRADES.get(saga_type)
    found = []
    for entry in entries:
        action = entry.key if entry.kind is CallKind.ACTION else entry.compensates
        of_trade = trade is not None and f":{trade.step}:" in (action or "")
        if trade is not None and of_trade and entry.outcome == APPLIED and entry.amount is not None:
            back = 1 if entry.kind is CallKind.ACTION else -1
            found.append(entry.amount * trade.sign * back)
    return found


def due(saga_type: str, status: str, data: Json) -> Decimal:
    """What a saga that has ended so should have brought the shop. Raises ValueError."""
    trade = TRADES.get(saga_type)
    if trade is None or status != SagaStatus.COMPLETED:
        return Decimal(0)
    try:
        return trade.sign * Decimal(str(data["amount"]))
    except (KeyError, InvalidOperation):
        raise ValueError("its data has no amount") from None


def pieces(saga_type: str, status: str, data: Json) -> int:
    """How many pieces a saga that has ended so took out of the stock for good."""
    trade = TRADES.get(saga_type)
    if trade is None or status != SagaStatus.COMPLETED:
        return 0
    return trade.sign * sum(int(item["quantity"]) for item in data["items"])


def amounts_agree(case: Case) -> Verdicts:
    """19, for one saga: a compensation never gives back more than its action moved, and a
    completed saga of a shipped type moved the amount in its data, unless a person saw to that.
    """
    for call, done, undone in _taken_back(case):
        what = f"{case.key(call)} moved {done}, and its compensation {undone}"
        yield what if undone > done else None
    trade = TRADES.get(case.history.type)
    if trade is None or not (case.at_rest and case.has(SagaStatus.COMPLETED)):
        return
    by_hand = any(call[:2] == (case.run, trade.step) for call in case.by_hand)
    if case.covers(trade.step) and not by_hand:
        try:
            wanted = due(case.history.type, case.history.status, case.history.data)
        except ValueError as error:
            yield str(error)
            return
        moved = sum(moves(case.history.type, case.entries), Decimal(0))
        yield f"{moved:+} for the shop, not {wanted:+}" if moved != wanted else None


def _taken_back(case: Case) -> Iterator[tuple[Call, Decimal, Decimal]]:
    """The amounts of the actions that were taken back, and of their compensations."""
    for call, entries in case.arrivals.items():
        if call.kind is not CallKind.ACTION:
            continue
        undo = case.arrivals.get(call._replace(kind=CallKind.COMPENSATION), ())
        amounts = [
            [
                entry.amount
                for entry in side
                if entry.outcome == APPLIED and entry.amount is not None
            ]
            for side in (entries, undo)
        ]
        if all(amounts):
            yield call, sum(amounts[0], Decimal(0)), sum(amounts[1], Decimal(0))


class Totals:
    """Sums over all sagas, against each other and against the participants' own."""

    def __init__(self) -> None:
        self._wanted: dict[Sum, Decimal] = dict.fromkeys((NET, *_STOCK, *_SALES), Decimal(0))
        self._foreign: set[str] = set()
        self._unended = 0
        self._short: list[tuple[str, str, Decimal]] = []
        self._given_back = Decimal(0)

    def add(self, case: Case) -> None:
        """Count a saga in."""
        history = case.history
        for call, done, undone in _taken_back(case):
            if undone < done:
                what = f"{case.key(call)} moved {done}, and its compensation only {undone}"
                self._short.append((history.saga_id, what, done - undone))
        trade = TRADES.get(history.type)
        if trade is None:
            self._foreign |= {e.service for e in case.entries if e.outcome == APPLIED}
            return
        moved = sum(moves(history.type, case.entries), Decimal(0))
        if trade.sign < 0:
            self._given_back -= moved
        if case.has(SagaStatus.COMPLETED) and not case.by_hand:
            self._add_completed(history.type, history.data, trade)
        else:
            self._wanted[NET] += moved
            ended = case.has(SagaStatus.COMPENSATED) or case.has(SagaStatus.PENDING)
            self._unended += bool(case.by_hand) or not ended

    def _add_completed(self, saga_type: str, data: Json, trade: Trade) -> None:
        try:
            amount = due(saga_type, SagaStatus.COMPLETED, data)
            taken = pieces(saga_type, SagaStatus.COMPLETED, data)
        except (ValueError, KeyError, TypeError):
            return  # told of it as the saga's own
        self._wanted[NET] += amount
        self._wanted["inventory", "taken"] += taken
        if trade.sign > 0:
            self._wanted["sales", "open"] += 1
        else:
            self._wanted["sales", "returned"] -= amount

    def check(self, states: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str | None]]:
        """19, over all: a saga and what is wrong with it, or no saga and what is with a sum.

        A compensation may give back less than its action took where another saga had given
        part of it back before: that much, in all, and no more. A participant's sums are
        looked at when only shipped types moved them; goods only when no saga stands failed.
        """
        missing = sum((short for _, _, short in self._short), Decimal(0))
        for saga, text, _ in self._short:
            yield saga, text if missing > self._given_back else None
        for (service, name), wanted in self._wanted.items():
            found = states.get(service, {}).get(name)
            known = found is not None and service not in self._foreign
            if known and ((service, name) == NET or not self._unended):
                what = f"{service} says that its {name} is {found}, and the sagas imply {wanted}"
                yield "", None if _number(found) == wanted else what


def _number(value: Any) -> Decimal | None:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None
