"""The audit sees what is wrong: each rule has a ledger that breaks it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from sagas.demo.accounts import accounts
from sagas.demo.audit import audit

Json = dict[str, Any]

AT = "2026-01-01T00:00:00+00:00"
SAGA_ID = "0190e5a0-0000-7000-8000-000000000000"
STEPS = {
    "validate_inventory": None,
    "reserve_inventory": "release_inventory",
    "process_payment": "refund_payment",
    "update_inventory": None,
}


class World:
    """A purchase, its history, and the ledgers' entries."""

    def __init__(self) -> None:
        self.saga: Json = {
            "id": SAGA_ID,
            "type": "purchase_saga",
            "status": "completed",
            "run": 1,
            "definition_version": 1,
            "error": None,
            "waiting": "",
            "data": {"amount": "59.98", "items": [{"quantity": 2}]},
            "steps": [{"name": name, "compensation": undo} for name, undo in STEPS.items()],
        }
        self.events: list[Json] = []
        self._record("saga_created", {"steps": list(STEPS)})
        self.entries: list[Json] = []
        self.act("validate_inventory", "checked")
        self.act("reserve_inventory")
        self.act("process_payment", amount="59.98")
        self.act("update_inventory")

    def act(self, step: str, outcome: str = "applied", **more: object) -> None:
        self._call("action", step, step, outcome, **more)

    def undo(self, step: str, outcome: str = "applied", **more: object) -> None:
        name = STEPS[step]
        assert name
        compensates = f"{SAGA_ID}:1:{step}:action"
        self._call("compensation", step, name, outcome, compensates=compensates, **more)

    def compensate(self) -> None:
        self.saga["status"] = "compensated"
        self.undo("process_payment", amount="59.98")
        self.undo("reserve_inventory")

    def findings(self) -> dict[str, str]:
        """What is wrong, by subject."""
        expected = (self.saga["status"],)
        found = audit(self.saga, self.events, self.entries, expected)
        return {finding.subject: finding.text for finding in found if not finding.good}

    def _call(self, kind: str, step: str, name: str, outcome: str, **more: object) -> None:
        number = len(self.events) + 1
        data = {"step": step, "call": kind, "attempt": 1, "until": AT}
        self._record("attempt_started", data)
        entry = {
            "seq": number,
            "at": AT,
            "saga_id": SAGA_ID,
            "service": "payment" if "payment" in name else "inventory",
            "step": name,
            "kind": kind,
            "key": f"{SAGA_ID}:1:{step}:{kind}",
            "compensates": None,
            "run": "1",
            "body_sha256": name,
            "outcome": outcome,
            "amount": None,
        }
        self.entries.append(entry | more)

    def _record(self, kind: str, data: Json) -> None:
        event = {"seq": len(self.events) + 1, "at": AT, "kind": kind, "data": data}
        self.events.append(event | {"actor": "worker", "reason": ""})

    def entry(self, step: str) -> Json:
        (found,) = (entry for entry in self.entries if entry["step"] == step)
        return found

    def copy_of(self, step: str, **changes: object) -> None:
        """The same call once more, with an attempt for it in the history."""
        entry = self.entry(step)
        self.entries.append(copy.deepcopy(entry) | {"seq": 99} | changes)
        (event,) = (event for event in self.events if event["seq"] == entry["seq"])
        self.events.append(copy.deepcopy(event) | {"seq": len(self.events) + 1})


def test_a_completed_saga_is_found_good() -> None:
    assert World().findings() == {}


def test_a_repeated_call_that_is_answered_again_is_found_good() -> None:
    world = World()
    world.copy_of("process_payment", outcome="replayed")
    assert world.findings() == {}


def test_a_compensated_saga_is_found_good() -> None:
    world = World()
    world.compensate()
    assert world.findings() == {}


def test_a_compensation_of_what_never_took_place_is_found_good() -> None:
    world = World()
    world.entries = [entry for entry in world.entries if entry["step"] == "reserve_inventory"]
    world.saga["status"] = "compensated"
    world.undo("process_payment", "noop")
    world.undo("reserve_inventory")
    assert world.findings() == {}


Break = Callable[[World], object]


@pytest.mark.parametrize(
    ("broken", "subject", "text"),
    [
        (
            lambda world: world.copy_of("process_payment"),
            "effects",
            "process_payment took place 2 times",
        ),
        (
            lambda world: world.entries.remove(world.entry("update_inventory")),
            "effects",
            "update_inventory never took place",
        ),
        (
            lambda world: world.undo("process_payment", amount="59.98"),
            "effects",
            "process_payment was taken back",
        ),
        (
            lambda world: world.copy_of("process_payment", outcome="replayed", body_sha256="other"),
            "calls",
            "came with several bodies",
        ),
        (
            lambda world: world.copy_of("process_payment", outcome="applied", key="another"),
            "calls",
            "another arrived 1 times, of which 0 are recorded",
        ),
        (
            lambda world: world.events.pop(),
            "calls",
            "update_inventory:action arrived 1 times, of which 0 are recorded",
        ),
        (lambda world: world.events.reverse(), "calls", "the history has gaps"),
        (
            lambda world: world.entry("process_payment").update(amount="59.97"),
            "money",
            "+59.97 for the shop, not +59.98",
        ),
    ],
)
def test_what_is_wrong_with_a_completed_saga(broken: Break, subject: str, text: str) -> None:
    world = World()
    broken(world)
    assert text in world.findings()[subject]


@pytest.mark.parametrize(
    ("broken", "subject", "text"),
    [
        (
            lambda world: world.entry("refund_payment").update(outcome="noop"),
            "effects",
            "process_payment took place 1 times and was taken back 0 times",
        ),
        (
            lambda world: world.entry("refund_payment").update(amount="60.00"),
            "money",
            "-0.02 for the shop, not +0",
        ),
        (
            lambda world: world.entry("update_inventory").update(seq=99),  # it came late
            "effects",
            "update_inventory took place 1 times and was taken back 0 times",
        ),
    ],
)
def test_what_is_wrong_with_a_compensated_saga(broken: Break, subject: str, text: str) -> None:
    world = World()
    world.compensate()
    broken(world)
    assert text in world.findings()[subject]


def test_effects_that_did_not_come_about_as_the_chapter_has_it_are_wrong() -> None:
    world = World()
    world.compensate()
    found = audit(world.saga, world.events, world.entries, ("compensated",), number=2)
    (wrong,) = (finding for finding in found if not finding.good)
    assert wrong.text == "3 took place, where 2 should have"


def test_another_status_is_wrong() -> None:
    world = World()
    world.saga |= {"status": "failed", "error": "refund_payment was refused"}
    found = audit(world.saga, world.events, world.entries, ("completed", "compensated"))
    assert found[0].text == "failed, not completed or compensated: refund_payment was refused"
    assert not found[0].good


def sums(net: str, taken: int, reserved: int = 0) -> dict[str, Json]:
    payment = {"taken": net, "refunded": "0.00", "net": net}
    return {"payment": payment, "inventory": {"taken": taken, "reserved": reserved}}


@pytest.mark.parametrize(
    ("after", "good"),
    [
        (sums("159.98", 7), [True, True]),
        (sums("159.97", 7), [False, True]),
        (sums("159.98", 6), [True, False]),
        (sums("159.98", 7, reserved=2), [True, False]),
    ],
)
def test_the_sums_are_held_against_the_sagas(after: dict[str, Json], good: list[bool]) -> None:
    compensated = World()
    compensated.compensate()
    sagas = [World().saga, compensated.saga]
    found = accounts(sums("100.00", 5), after, sagas)
    assert [finding.good for finding in found] == good
