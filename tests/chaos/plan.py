"""What a seed gives: the faults and the clients' doings, each with its time. Pure."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from tests.chaos.kinds import GAPS, KINDS

WARM_UP = 3.0
"""Seconds of load before the first fault."""

MOST_MINUTES, MOST_SAGAS = 240.0, 200_000


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault to be made."""

    at: float
    """Seconds from the beginning."""

    kind: str
    seconds: float
    times: int
    choice: int
    """What is left to chance when it strikes (which worker, which participant): by this number."""


def strikes(seed: int, seconds: float, kinds: Collection[str] = tuple(KINDS)) -> list[Strike]:
    """The faults of a run of so many seconds, in order of time; each ends before the run does."""
    if unknown := set(kinds) - KINDS.keys():
        raise ValueError(f"no such kinds: {', '.join(sorted(unknown))}")
    found = [strike for target in GAPS for strike in _at_target(target, seed, seconds, kinds)]
    return sorted(found, key=lambda strike: (strike.at, strike.kind))


def _at_target(target: str, seed: int, seconds: float, kinds: Collection[str]) -> Iterator[Strike]:
    # A source of its own: the faults at one target are the same with and without the others.
    chance = random.Random(f"{seed}:{target}")
    mine = [name for name, kind in KINDS.items() if kind.target == target and name in kinds]
    deck: list[str] = []
    now = WARM_UP + chance.uniform(0, GAPS[target][0])
    while mine:
        # As cards are dealt: each kind comes once before any comes again, also in a short run.
        deck = deck or chance.sample(mine, len(mine))
        name = deck.pop()
        kind = KINDS[name]
        strike = Strike(
            at=round(now, 2),
            kind=name,
            seconds=round(chance.uniform(*kind.seconds), 2),
            times=chance.randint(*kind.times),
            choice=chance.randrange(2**31),
        )
        # Switches are set and left: only what is off meanwhile takes the target's time.
        lasts = 0.0 if target in ("shop", "network") else strike.seconds
        if now + lasts > seconds:
            return
        yield strike
        now += lasts + chance.uniform(*GAPS[target])


DOINGS = {
    "at_once": 22,  # created and executed by one request
    "separately": 18,  # by two
    "declined": 8,  # a card that is declined: compensates
    "out_of_stock": 5,  # product 999: compensates with nothing to take back
    "impatient": 12,  # gives up waiting for the answer, and posts again with the same key
    "hangs_up": 8,  # closes the connection once the request is sent, and posts again
    "other_body": 4,  # the same key with another body
    "double_click": 6,  # each request twice at once
    "race": 5,  # execute, compensate and retry all at once, several of each
    "cancels": 8,  # compensates somewhere on the way
    "undoes": 4,  # compensates after it has completed
}
"""What clients do, and how often of a hundred times."""


@dataclass(frozen=True, slots=True)
class Order:
    """What one client does with one purchase."""

    at: float
    number: int
    doing: str
    product: int
    quantity: int
    cents: int
    patience: float
    """Seconds: how long the impatient wait, and when the others do what they do next."""

    returned: bool
    """Whether the goods are brought back, once the purchase has completed."""

    retried: bool
    """Whether the saga is retried, should it fail or be compensated."""


def orders(seed: int, number: int, seconds: float) -> list[Order]:
    """What the clients do in a run, spread evenly over its time."""
    chance = random.Random(f"{seed}:clients")
    doings, weights = list(DOINGS), list(DOINGS.values())
    made = []
    for index in range(number):
        (doing,) = chance.choices(doings, weights)
        made.append(
            Order(
                at=round((index + chance.random()) * seconds / number, 3),
                number=index,
                doing=doing,
                product=999 if doing == "out_of_stock" else chance.randint(1, 998),
                quantity=chance.randint(1, 3),
                cents=chance.randint(100, 9999),
                patience=round(chance.choice((0.005, 0.02, 0.05, 0.2, 1.0)) * chance.random(), 4),
                returned=chance.random() < 0.4,
                retried=chance.random() < 0.3,
            )
        )
    return sorted(made, key=lambda order: order.at)
