"""Holds a saga against the shop's ledgers: what it says it did must be what was done."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sagas.demo.client import Json
from sagas.domain.state import CallKind, SagaStatus
from sagas.verify import calls, effects, money, numbers
from sagas.verify.case import Case, Verdicts
from sagas.verify.entry import APPLIED, entry_of
from sagas.verify.history import Fact, History, Rules


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was looked at, and whether it is as it should be."""

    good: bool
    subject: str
    text: str


def audit(
    saga: Json,
    events: list[Json],
    entries: list[Json],
    expected: Collection[str],
    number: int | None = None,
) -> list[Finding]:
    """Everything that can be seen from outside about one saga that has ended.

    `expected` is in which statuses it may be, `number` how many of its actions should have
    taken place, if that is known.
    """
    case = Case(_history(saga, events), map(entry_of, entries), Rules())
    return [_status(saga, expected), _effects(case, number), _calls(case), _money(case)]


def _history(saga: Json, events: list[Json]) -> History:
    """The saga as the API shows it: without what only the tables have."""
    facts = (
        Fact(
            seq=event["seq"],
            kind=event["kind"],
            at=datetime.fromisoformat(event["at"]),
            actor=event["actor"],
            reason=event["reason"],
            epoch=0,
            data=event["data"],
        )
        for event in events
    )
    return History(
        saga_id=saga["id"],
        type=saga["type"],
        version=saga["definition_version"],
        status=saga["status"],
        data=saga["data"],
        row=None,
        steps=tuple((step["name"], step["compensation"] or "") for step in saga["steps"]),
        facts=tuple(facts),
    )


def _status(saga: Json, expected: Collection[str]) -> Finding:
    wanted = " or ".join(expected)
    if saga["status"] in expected:
        return Finding(True, "status", f"{saga['status']}, as it should be")
    why = saga["error"] or saga["waiting"]
    return Finding(False, "status", f"{saga['status']}, not {wanted}" + (f": {why}" if why else ""))


def _effects(case: Case, wanted: int | None) -> Finding:
    problems = _wrong(
        effects.completed_took_effect_once(case),
        effects.nothing_is_left(case),
        effects.effects_are_single(case),
    )
    if problems:
        return Finding(False, "effects", "; ".join(problems))
    applied = [entry for entry in case.entries if entry.outcome == APPLIED]
    done = sum(entry.kind is CallKind.ACTION for entry in applied)
    undone = len(applied) - done
    if wanted not in (None, done):
        return Finding(False, "effects", f"{done} took place, where {wanted} should have")
    if not case.at_rest or case.has(SagaStatus.FAILED):
        return Finding(done == undone, "effects", f"{done} took place, {undone} taken back")
    if case.has(SagaStatus.COMPLETED):
        text = f"{done} took place exactly once each, and none was taken back"
    else:
        text = f"{done} took place, {count(undone, 'compensation')} took all back: net zero"
    return Finding(True, "effects", text if applied else "none took place: nothing to take back")


def _calls(case: Case) -> Finding:
    problems = _wrong(
        calls.bodies_are_one_per_key(case),
        calls.arrivals_were_recorded_first(case),
        numbers.numbers_have_no_gaps(case),
    )
    if problems:
        return Finding(False, "calls", "; ".join(problems))
    keys = {entry.key for entry in case.entries}
    text = f"{count(len(case.entries), 'call')} under {count(len(keys), 'key')}"
    return Finding(True, "calls", f"{text}, one body per key, all of them in the history")


def _wrong(*verdicts: Verdicts) -> list[str]:
    return [text for found in verdicts for text in found if text is not None]


def _money(case: Case) -> Finding:
    saga = case.history
    moves = money.moves(saga.type, case.entries)
    moved = sum(moves, Decimal(0))
    wanted = money.due(saga.type, saga.status, saga.data)
    if moved != wanted:
        return Finding(False, "money", f"{moved:+} for the shop, not {wanted:+}")
    words = [f"{move} taken" if move > 0 else f"{-move} given back" for move in moves]
    return Finding(True, "money", ", then ".join(words) or "none was moved")


def count(number: int, noun: str) -> str:
    """The number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
