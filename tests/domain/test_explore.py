"""The core holds in every order of every fault, and would not if a defence were missing.

Bounded here to seconds; `python -m tests.domain.explore --help` searches further.
"""

from __future__ import annotations

import pytest

from tests.domain.explore import explore
from tests.domain.mutants import MUTANTS, Mutant
from tests.domain.scenarios import bare, hurried, pivot, plain
from tests.domain.world import Rules, Violation

SCENARIOS = [
    (Rules(plain(), commands=1, faults=1), 40_000),
    (Rules(plain(), commands=0, faults=2), 35_000),
    (Rules(plain(), commands=2, faults=0), 5_000),
    (Rules(plain(), commands=0, faults=0, poison=True), 1_000),
    (Rules(bare(), commands=1, faults=0), 1_000),
    (Rules(hurried(), commands=0, faults=1), 10_000),
    (Rules(pivot(), commands=0, faults=1), 10_000),
    (Rules(pivot(), commands=2, faults=0), 10_000),
    (Rules(plain(), commands=1, faults=1, mends=True), 40_000),
    (Rules(pivot(), commands=2, faults=0, mends=True), 10_000),
    (Rules(pivot(steps=2), commands=2, faults=1, mends=True), 10_000),
]


@pytest.mark.parametrize(("rules", "at_least"), SCENARIOS)
def test_the_invariants_hold_in_every_world(rules: Rules, at_least: int) -> None:
    found = explore(rules)
    assert found.complete
    assert found.worlds > at_least, "a search of little proves little"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "_"))
def test_the_search_sees(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant.patch(monkeypatch)
    with pytest.raises(Violation, match=f"^{mutant.broken}: "):
        explore(mutant.rules)
