"""Each invariant holds for what the engine did, and is named when that is tampered with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from sagas.domain.state import CallKind, Effect, SagaStatus, StepState
from sagas.verify.entry import Entry
from sagas.verify.history import Fact
from sagas.verify.invariants import CHECKS, found, violations
from tests.verify.made import REAL, Made

# The database is that of the fixture: without the mark there would be none.
pytestmark = pytest.mark.django_db

Tamper = Callable[[Made], Made]


@pytest.mark.parametrize("name", [*REAL, "held", "anew"])
def test_what_the_engine_did_is_found_good(histories: dict[str, Made], name: str) -> None:
    assert list(violations(histories[name].case())) == []


def test_between_them_the_histories_show_every_check_something(
    histories: dict[str, Made],
) -> None:
    looked = Counter(number for made in histories.values() for number, _ in found(made.case()))
    assert set(looked) == set(CHECKS)


# --- Tampering ----------------------------------------------------------------------------------


def row(**changes: Any) -> Tamper:
    """Other values in the saga's row."""

    def tamper(made: Made) -> Made:
        assert made.history.row is not None
        status = {"status": changes["status"].value} if "status" in changes else {}
        changed = replace(made.history, row=replace(made.history.row, **changes), **status)
        return made._replace(history=changed)

    return tamper


def step_row(name: str, **changes: Any) -> Tamper:
    """Other values in the row of a step."""

    def tamper(made: Made) -> Made:
        assert made.history.row is not None
        return row(steps=made.history.row.with_step(name, **changes).steps)(made)

    return tamper


def history(**changes: Any) -> Tamper:
    """Other columns of the saga."""
    return lambda made: made._replace(history=replace(made.history, **changes))


def _facts(made: Made, facts: list[Fact]) -> Made:
    return made._replace(history=replace(made.history, facts=tuple(facts)))


def _place(made: Made, kind: str, nth: int, step: str) -> int:
    places = [
        place
        for place, fact in enumerate(made.history.facts)
        if fact.kind == kind and step in ("", fact.data.get("step"))
    ]
    return places[nth]


def event(
    of: str, nth: int = 0, *, about: str = "", data: Any = None, later: float = 0, **changes: Any
) -> Tamper:
    """Another content of the n-th event of that kind, about that step."""

    def tamper(made: Made) -> Made:
        facts = list(made.history.facts)
        place = _place(made, of, nth, about)
        fact = facts[place]
        content: dict[str, Any] = {
            "data": {**fact.data, **(data or {})},
            "at": fact.at + timedelta(seconds=later),
        }
        facts[place] = replace(fact, **(content | changes))
        return _facts(made, facts)

    return tamper


def without(kind: str, nth: int = 0, step: str = "", *, numbered: bool = False) -> Tamper:
    """The event is gone; `numbered`: and nobody can tell by the numbers."""

    def tamper(made: Made) -> Made:
        facts = list(made.history.facts)
        del facts[_place(made, kind, nth, step)]
        if not numbered:
            return _facts(made, facts)
        facts = [replace(fact, seq=number) for number, fact in enumerate(facts, start=1)]
        return row(seq=len(facts))(_facts(made, facts))

    return tamper


def with_event(after: str, new: str, nth: int = 0, data: Any = None, **changes: Any) -> Tamper:
    """One more event, right behind the n-th of the kind `after`, with numbers that fit."""

    def tamper(made: Made) -> Made:
        facts = list(made.history.facts)
        place = _place(made, after, nth, "")
        facts.insert(place + 1, replace(facts[place], kind=new, data=data or {}, **changes))
        facts = [replace(fact, seq=number) for number, fact in enumerate(facts, start=1)]
        return row(seq=len(facts))(_facts(made, facts))

    return tamper


def doubled_event(kind: str) -> Tamper:
    def tamper(made: Made) -> Made:
        facts = list(made.history.facts)
        place = _place(made, kind, 0, "")
        return _facts(made, [*facts[: place + 1], *facts[place:]])

    return tamper


def entry(of: str, *, later: float = 0, **changes: Any) -> Tamper:
    """Another content of the first entry of that step's call in the ledger."""

    def tamper(made: Made) -> Made:
        place, one = _entry(made, of, "")
        changed = replace(one, at=one.at + timedelta(seconds=later), **changes)
        entries = [*made.entries[:place], changed, *made.entries[place + 1 :]]
        return made._replace(entries=tuple(entries))

    return tamper


def another(of: str, *, later: float = 0.001, **changes: Any) -> Tamper:
    """The first entry of that step's call once more, as if it had arrived again."""

    def tamper(made: Made) -> Made:
        _, one = _entry(made, of, "")
        moved = timedelta(seconds=later)
        copied: dict[str, Any] = {"seq": 10_000, "at": one.at + moved}
        copy = replace(one, **(copied | changes))
        return made._replace(entries=(*made.entries, copy))

    return tamper


def lost(step: str, outcome: str = "") -> Tamper:
    """The entry is gone."""

    def tamper(made: Made) -> Made:
        place, _ = _entry(made, step, outcome)
        return made._replace(entries=(*made.entries[:place], *made.entries[place + 1 :]))

    return tamper


def _entry(made: Made, step: str, outcome: str) -> tuple[int, Entry]:
    return next(
        (place, one)
        for place, one in enumerate(made.entries)
        if one.step == step and outcome in ("", one.outcome)
    )


def both(*tampers: Tamper) -> Tamper:
    def tamper(made: Made) -> Made:
        for one in tampers:
            made = one(made)
        return made

    return tamper


def held_call_arrived(made: Made) -> Made:
    """A call of the stage in a ledger, twice, although one of its two attempts was held back."""
    saga, at = made.history.saga_id, made.history.ended_at
    assert at is not None
    one = Entry(
        service="hotel",
        seq=1,
        at=at,
        key=f"{saga}:1:book:action",
        saga_id=saga,
        run=1,
        step="book",
        kind=CallKind.ACTION,
        outcome="applied",
        compensates=None,
        body_sha256=None,
        amount=None,
    )
    return made._replace(entries=(one, replace(one, seq=2, outcome="replayed")))


def no_definition_fits(made: Made) -> Made:
    definition = made.history.definition
    assert definition is not None
    return history(definition=replace(definition, steps=definition.steps[:-1]))(made)


def far_deadline(made: Made) -> Made:
    at = made.history.created_at
    assert at is not None
    far = at + timedelta(hours=1)
    return both(event("execute_requested", data={"deadline": far.isoformat()}), row(deadline=far))(
        made
    )


OTHER_HASH = "0" * 64
SECRET = {"error": "wrong password: open sesame!"}
TAMPERED: list[tuple[int, str, Tamper]] = [
    # 1
    (1, "completed", lost("update_inventory")),
    (1, "completed", entry("process_payment", outcome="refused")),
    (1, "completed", another("create_sale")),
    # 2
    (2, "compensated", entry("refund_payment", outcome="refused")),
    (2, "compensated", lost("refund_payment")),
    (2, "second_run", lost("cancel_sale")),
    (2, "second_run", lost("release_inventory")),
    (2, "failed", lost("reserve_inventory")),
    (2, "failed", both(step_row("reserve_inventory", effect=Effect.NONE))),
    # 3
    (3, "completed", another("process_payment")),
    (3, "compensated", another("refund_payment")),
    # 4
    (4, "completed", entry("process_payment", later=-5)),
    (4, "completed", another("process_payment")),
    (4, "completed", another("process_payment", key="another")),
    (4, "completed", without("attempt_started", step="create_sale")),
    (4, "completed", event("attempt_started", about="create_sale", later=5)),
    # 5
    (5, "completed", entry("process_payment", body_sha256=OTHER_HASH)),
    (5, "retried", entry("process_payment", body_sha256=OTHER_HASH)),
    (5, "completed", entry("process_payment", step="create_sale")),
    (5, "completed", entry("process_payment", key=None)),
    (5, "completed", entry("process_payment", run=2)),
    (5, "compensated", entry("refund_payment", compensates=None)),
    # 6
    (6, "completed", event("attempt_succeeded", about="process_payment", later=5)),
    (6, "completed", without("attempt_succeeded", step="process_payment", numbered=True)),
    # 7
    (7, "second_run", without("attempt_succeeded", 1, step="create_sale", numbered=True)),
    (7, "second_run", event("attempt_succeeded", 1, about="create_sale", later=5)),
    # 8
    (8, "compensated", event("attempt_started", -1, data={"call": "action"})),
    (8, "second_run", entry("process_payment", seq=9_999)),
    # 9
    (9, "second_run", event("retry_requested", actor="")),
    (9, "second_run", event("compensate_requested", actor="system")),
    (9, "second_run", event("compensate_requested", actor="host:12:0a1b2c3d")),
    (9, "second_run", without("compensate_requested", numbered=True)),
    # 10
    (10, "completed", row(status=SagaStatus.FAILED)),
    (10, "completed", row(crashes=2)),
    (10, "edited", history(data={"amount": "1.00"})),
    (10, "edited", event("data_edited", data={"data": {"amount": "1.00"}})),
    (10, "by_hand", step_row("reserve_inventory", effect=Effect.APPLIED)),
    (10, "found_out", event("doubt_resolved", data={"applied": False})),
    (10, "by_hand", without("step_skipped", numbered=True)),
    (2, "by_hand", event("step_skipped", data={"step": "process_payment"})),
    (10, "completed", step_row("process_payment", effect=Effect.IN_DOUBT)),
    (10, "completed", step_row("create_sale", output={"sale_id": "another"})),
    (10, "completed", row(steps=(StepState(name="other"),))),
    (10, "completed", history(ended_at=None)),
    (10, "completed", history(in_doubt=True)),
    (10, "completed", history(row=None, unreadable="its rows cannot be read: no status")),
    (10, "completed", without("attempt_succeeded", step="update_inventory", numbered=True)),
    (10, "completed", without("execute_requested", numbered=True)),
    (10, "completed", without("saga_created", numbered=True)),
    (10, "completed", event("saga_completed", kind="saga_compensated")),
    (10, "completed", event("attempt_succeeded", kind="attempt_vanished")),
    (10, "completed", with_event("saga_completed", "claimed", data={"owner": "w"})),
    (10, "retried", event("attempt_failed", about="process_payment", data={"attempt": 2})),
    (10, "failed", row(reason="another")),
    # 11
    (11, "completed", without("attempt_started", step="create_sale")),
    (11, "completed", without("saga_completed")),
    (11, "completed", doubled_event("attempt_started")),
    (11, "completed", row(seq=99)),
    # 12
    (12, "retried", event("attempt_started", 1, epoch=0)),
    (12, "retried", event("claimed", 1, epoch=7)),
    (12, "retried", event("claimed", 1, later=-3600)),
    (12, "completed", event("attempt_succeeded", actor="another worker")),
    (12, "completed", row(epoch=99)),
    # 13
    (13, "retried", event("attempt_started", 1, about="process_payment", data={"attempt": 3})),
    (13, "retried", event("attempt_started", 1, about="process_payment", data={"attempt": 1})),
    (13, "retried", event("attempt_failed", later=0.5)),
    (13, "retried", event("attempt_started", 1, about="process_payment", later=-5)),
    (13, "retried", event("attempt_failed", data={"answer": {"status": 503, "retry_after": 1}})),
    (
        13,
        "retried",
        both(far_deadline, event("attempt_failed", later=0.5)),
    ),
    # 17
    (17, "completed", event("saga_created", data={"steps": ["a", "b"]})),
    (17, "completed", history(version=2)),
    (17, "completed", history(type="return_saga")),
    (17, "completed", history(type="unknown_saga", definition=None)),
    (17, "completed", history(steps=(("validate_inventory", ""),))),
    (17, "completed", event("attempt_started", data={"step": "other"})),
    (17, "completed", no_definition_fits),
    # 18
    (18, "held", event("attempt_started", 2, data={"attempt": 2})),
    (18, "held", event("attempt_held", data={"attempt": 2})),
    (18, "held", held_call_arrived),
    # 19
    (19, "completed", entry("process_payment", amount=Decimal("59.97"))),
    (19, "completed", history(data={})),
    (19, "compensated", entry("refund_payment", amount=Decimal("60.00"))),
    # 20
    (20, "completed", history(stored={"its row": {"data": {"note": ["open sesame"]}}})),
    (20, "retried", event("attempt_failed", data=SECRET)),
    # 21
    (21, "overdue", lambda made: made),
    (21, "failed", row(reason="")),
    # 22
    (22, "overdue", lambda made: row(due_at=made.history.row.due_at - timedelta(minutes=1))(made)),  # type: ignore[union-attr,operator]
]


@pytest.mark.parametrize(
    ("number", "name", "tamper"),
    TAMPERED,
    ids=[f"{number}-{name}-{place}" for place, (number, name, _) in enumerate(TAMPERED)],
)
def test_what_was_tampered_with_is_named(
    histories: dict[str, Made], number: int, name: str, tamper: Tamper
) -> None:
    made = histories[name]
    case = tamper(made).case()
    named = {violation.invariant: violation.text for violation in violations(case)}
    assert number in named, named


@pytest.mark.parametrize(
    ("tamper", "why"),
    [
        (event("attempt_failed", later=0.5), "(by this process's settings)"),
        (
            event("attempt_failed", data={"answer": {"status": 503, "retry_after": 1}}),
            "where 1.000 s are due (as the answer asked)",
        ),
    ],
)
def test_who_says_how_long_a_retry_was_to_wait(
    histories: dict[str, Made], tamper: Tamper, why: str
) -> None:
    named = {
        found.invariant: found.text for found in violations(tamper(histories["retried"]).case())
    }
    assert named[13].endswith(why)


def test_every_invariant_of_a_saga_is_tampered_with() -> None:
    assert {number for number, _, _ in TAMPERED} == set(CHECKS)


def test_code_that_fails_before_a_start_is_recorded_is_allowed(histories: dict[str, Made]) -> None:
    """`attempt_broken` need not follow an `attempt_started`: nothing was to be sent."""
    made = histories["completed"]
    facts = list(made.history.facts)
    place = _place(made, "attempt_started", 0, "create_sale")
    data = {"step": "create_sale", "call": "action", "attempt": 1, "error": "KeyError"}
    broken = replace(facts[place], kind="attempt_broken", data=data)
    failed = replace(facts[place], kind="saga_failed", data={"reason": "create_sale: KeyError"})
    cut = _facts(made, [*facts[:place], *_numbered(facts[place].seq, broken, failed)])
    named = {one.text for one in violations(cut.case()) if one.invariant == 10}
    assert not any("answers no call" in text or "not allowed" in text for text in named), named


def _numbered(first: int, *facts: Fact) -> list[Fact]:
    return [replace(fact, seq=number) for number, fact in enumerate(facts, start=first)]
