"""What a participant offers: checks, actions and compensations, each at its path."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from sqlite3 import Connection

from shop.body import Body


@dataclass(frozen=True, slots=True)
class Effect:
    """What an action did: its answer, and how to find again what it did."""

    status: int
    reference: str
    fields: Mapping[str, object]
    amount: int | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """A read-only action."""

    step: str
    run: Callable[[Connection, Body], Mapping[str, object]]
    kind = "action"


@dataclass(frozen=True, slots=True)
class Action:
    """An action with an effect."""

    step: str
    run: Callable[[Connection, Body], Effect]
    kind = "action"


@dataclass(frozen=True, slots=True)
class Compensation:
    """Takes back the effect of one action, given its reference; returns the cents moved, if any."""

    step: str
    takes_back: str
    field: str  # where the body may name the reference
    done: str  # the answer's only field: was there an effect to take back?
    run: Callable[[Connection, str], int | None]
    kind = "compensation"


Endpoint = Check | Action | Compensation


@dataclass(frozen=True, slots=True)
class Business:
    """All that makes one participant differ from the others."""

    name: str
    decline_status: int
    schema: str
    endpoints: Mapping[str, Endpoint]
    sums: Callable[[Connection], Mapping[str, object]]
