"""What the shop's sums must have come to after some sagas."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from sagas.demo.audit import Finding, count
from sagas.demo.client import Json
from sagas.verify.money import due, pieces

Sums = dict[str, Json]


def accounts(before: Sums, after: Sums, sagas: Iterable[Json]) -> list[Finding]:
    """How the sums changed, against what the sagas imply, if no others ran meanwhile."""
    sagas = list(sagas)
    return [_money(before, after, sagas), _stock(before, after, sagas)]


def _money(before: Sums, after: Sums, sagas: list[Json]) -> Finding:
    taken, refunded, net = (
        Decimal(after["payment"][name]) - Decimal(before["payment"][name])
        for name in ("taken", "refunded", "net")
    )
    wanted = sum((due(*_ended(saga)) for saga in sagas), Decimal(0))
    text = f"{taken} taken, {refunded} given back: {net} stay with the shop"
    if net != wanted:
        return Finding(False, "money", f"{text}, where the sagas imply {wanted}")
    return Finding(True, "money", f"{text}, as the sagas imply")


def _stock(before: Sums, after: Sums, sagas: list[Json]) -> Finding:
    taken, reserved = (
        after["inventory"][name] - before["inventory"][name] for name in ("taken", "reserved")
    )
    wanted = sum(pieces(*_ended(saga)) for saga in sagas)
    text = f"{count(taken, 'piece')} left the stock, {reserved} are still reserved"
    if (taken, reserved) != (wanted, 0):
        return Finding(False, "stock", f"{text}, where the sagas imply {wanted} and 0")
    return Finding(True, "stock", f"{text}, as the sagas imply")


def _ended(saga: Json) -> tuple[str, str, Json]:
    return saga["type"], saga["status"], saga["data"]
