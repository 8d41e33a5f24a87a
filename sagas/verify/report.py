"""What was looked at, and what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from sagas.verify.history import Violation
from sagas.verify.invariants import TITLES, WHY_NOT


class Report:
    """The result of a check of everything."""

    def __init__(self) -> None:
        self.sagas = 0
        self.calls = 0
        self.moving = 0
        """Sagas that changed each time they were read, and so were not looked at."""

        self.checks: Counter[int] = Counter()
        """How many things were looked at, by invariant."""

        self.violations: list[Violation] = []

    def looked(self, invariant: int, saga_id: str, text: str | None) -> None:
        """Note one thing that was looked at, and what is wrong with it if anything is."""
        self.checks[invariant] += 1
        if text is not None:
            self.violations.append(Violation(invariant=invariant, saga_id=saga_id, text=text))

    @property
    def not_checked(self) -> dict[int, str]:
        """The invariants for which nothing was looked at, and why."""
        return {
            number: WHY_NOT.get(number, "there was no saga")
            for number in TITLES
            if not self.checks[number]
        }

    def as_json(self) -> dict[str, Any]:
        """The whole of it as JSON values."""
        return {
            "sagas": self.sagas,
            "calls": self.calls,
            "moving": self.moving,
            "checked": {
                str(number): {"title": title, "checks": self.checks[number]}
                for number, title in TITLES.items()
                if self.checks[number]
            },
            "not_checked": {str(number): why for number, why in self.not_checked.items()},
            "violations": [
                {"invariant": one.invariant, "saga": one.saga_id, "text": one.text}
                for one in self.violations
            ],
        }

    def lines(self) -> Iterator[str]:
        """The whole of it for people: a table, then each violation in a line."""
        wrong = Counter(one.invariant for one in self.violations)
        width, why_not = max(map(len, TITLES.values())), self.not_checked
        yield f"{'no.':>3}  {'invariant':<{width}} {'checks':>8} {'violations':>10}"
        for number, title in TITLES.items():
            if number in why_not:
                yield f"{number:>3}  {title:<{width}}  not checked: {why_not[number]}"
            else:
                yield f"{number:>3}  {title:<{width}} {self.checks[number]:>8} {wrong[number]:>10}"
        if self.moving:
            yield f"{self.moving} sagas changed while they were read, and were not looked at"
        for one in self.violations:
            yield f"{one.invariant:>3}  {one.saga_id or '-'}  {one.text}"
        yield f"{self.sagas} sagas, {self.calls} calls, {len(self.violations)} violations"
