"""A long history of sagas, quickly: played ones are stamped out with other values and times.

Nothing of it is driven by workers: what is still in progress waits, or is leased, for years.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from executors.base import SagaExecutor
from executors.registry import registry
from executors.sample import sample
from sagas import selectors
from sagas.models import Saga, SagaEvent, SagaStep
from sagas.seeding.scenarios import FAILED, OPEN, ORDINARY, Scenario, completed
from sagas.seeding.stage import COLUMNS, Play, rows_of
from sagas.seeding.stamp import Stamp, mark, read

PERIOD = timedelta(days=30)
YOUNG = 0.04
"""The part of the history, at its end, in which sagas are still open."""

_TYPES = {"purchase_saga": 0.85, "return_saga": 0.15}
_BATCH = 1000
_MOST_ITEMS = 3
_TABLES = (Saga, SagaStep, SagaEvent)

# The numbers of the marks.
_STORE, _CUSTOMER, _AMOUNT, _SALE, _METHOD, _WHY, _ITEMS, _OUTPUTS = 0, 1, 2, 3, 4, 5, 10, 20
_METHODS = ("credit_card", "credit_card", "debit_card", "gift_card", "invoice")
_WHYS = ("wrong size", "damaged", "not as described", "changed my mind", "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """What was made: how many of each type and scenario, from when to when."""

    counts: Counter[tuple[str, str]]
    since: datetime
    until: datetime


def make_history(number: int, *, seed: int, told: Callable[[int], None] = lambda _: None) -> Made:
    """Add that many sagas to the database, or none if the code knows neither type.

    `told` hears how many are there so far.
    """
    chance = random.Random(seed)
    until = selectors.database_now()
    counts: Counter[tuple[str, str]] = Counter()
    executors = {name: found for name in _TYPES if (found := registry.newest(name)) is not None}
    if not executors:
        return Made(counts=counts, since=until, until=until)
    types = list(executors)
    plays = _Plays(executors, seed)
    wanted = _drawn(number, types, chance)
    shop = _Shop(chance, number, Saga.objects.count())
    write = _copy if connection.vendor == "postgresql" else _insert
    for start in range(0, number, _BATCH):
        texts: dict[Any, list[str]] = defaultdict(list)
        for place in range(start, min(start + _BATCH, number)):
            saga_type, scenario = wanted[place]
            take = chance.randrange(_takes(scenario))
            stamp, items = plays.stamp(saga_type, scenario, take), _items(take)
            at = until - PERIOD * ((number - place - chance.random()) / number)
            at = min(at, until - stamp.length)
            values = shop.values(saga_type, items, plays.outputs[saga_type])
            for table, text in zip(
                _TABLES, stamp.copy(_id_at(at, chance), at, values), strict=True
            ):
                texts[table].append(text)
            counts[saga_type, scenario.__name__] += 1
        with transaction.atomic():
            for table in _TABLES:
                write(table, "".join(texts[table]))
        told(min(start + _BATCH, number))
    if connection.vendor == "postgresql":
        _tidy_up()
    return Made(counts=counts, since=until - PERIOD, until=until)


# --- Plays ----------------------------------------------------------------------------------------


class _Plays:
    """Scenarios of saga types, each played a few times over, at the latest when it is needed."""

    def __init__(self, executors: dict[str, SagaExecutor], seed: int) -> None:
        self._executors = executors
        self._seed = seed
        self._stamps: dict[tuple[str, Scenario, int], Stamp] = {}
        self.outputs = {name: _outputs(executor) for name, executor in executors.items()}

    def stamp(self, saga_type: str, scenario: Scenario, take: int) -> Stamp:
        """What one play has left."""
        found = self._stamps.get((saga_type, scenario, take))
        if found is None:
            found = self._play(self._executors[saga_type], scenario, take)
            self._stamps[saga_type, scenario, take] = found
        return found

    def _play(self, executor: SagaExecutor, scenario: Scenario, take: int) -> Stamp:
        texts = [str(mark(_OUTPUTS + place)) for place in range(len(executor.steps))]
        seed = f"{executor.saga_type}:{scenario.__name__}:{take}:{self._seed}"
        play = Play(executor, _data(executor.saga_type, _items(take)), texts, seed)
        return Stamp(rows_of(play, scenario))


def _takes(scenario: Scenario) -> int:
    return 9 if scenario is completed else 3


def _items(take: int) -> int:
    return take % _MOST_ITEMS + 1


def _outputs(executor: SagaExecutor) -> list[str]:
    """What the values that each step gives begin with."""
    names = [list(sample(step.answer, "x").items()) for step in executor.steps]
    return [next((key.removesuffix("_id") for key, v in each if v == "x"), "") for each in names]


def _data(saga_type: str, items: int) -> dict[str, Any]:
    """What a client of the shop sends, with marks for values."""
    order = {
        "store_id": mark(_STORE),
        "customer_id": mark(_CUSTOMER),
        "items": [
            {
                "product_id": mark(_ITEMS + 3 * item),
                "quantity": mark(_ITEMS + 3 * item + 1),
                "price": str(mark(_ITEMS + 3 * item + 2)),
            }
            for item in range(items)
        ],
        "amount": str(mark(_AMOUNT)),
    }
    if saga_type == "purchase_saga":
        return order | {"payment_method": str(mark(_METHOD))}
    return order | {"sale_id": str(mark(_SALE)), "reason": str(mark(_WHY))}


# --- Values ---------------------------------------------------------------------------------------


def _drawn(number: int, types: Sequence[str], chance: random.Random) -> list[tuple[str, Scenario]]:
    """What becomes of each saga, the oldest first: every way to fail or wait at least once."""
    drawn = chance.choices(list(ORDINARY), list(ORDINARY.values()), k=number)
    of_types = chance.choices(types, [_TYPES[name] for name in types], k=number)
    taken: set[int] = set()
    for shares, first in ((FAILED, 0), (OPEN, round(number * (1 - YOUNG)))):
        free = [place for place in range(first, number) if place not in taken]
        wanted = [s for s, share in shares.items() for _ in range(max(1, round(share * number)))]
        places = chance.sample(free, min(len(free), len(wanted)))
        taken.update(places)
        for place, scenario in zip(places, wanted, strict=False):
            drawn[place] = scenario
    return list(zip(of_types, drawn, strict=True))


class _Shop:
    """Customers, products and sales that come up again and again."""

    def __init__(self, chance: random.Random, number: int, before: int) -> None:
        self._chance = chance
        self._customers = max(number // 20, 100)
        self._prices = [chance.randint(99, 19_999) for _ in range(2000)]
        self._number = before
        self._sold: deque[tuple[str, int, int, list[tuple[int, int]]]] = deque(maxlen=500)

    def values(self, saga_type: str, items: int, outputs: Sequence[str]) -> list[Any]:
        """The values of one saga, by the numbers of their marks."""
        chance, self._number = self._chance, self._number + 1
        sale, buys = f"sale-{self._number}", saga_type == "purchase_saga"
        store, customer = chance.randint(1, 40), 1000 + int(chance.random() ** 2 * self._customers)
        lines = [(int(chance.random() ** 2 * 2000), chance.randint(1, 4)) for _ in range(items)]
        if buys:
            self._sold.append((sale, store, customer, lines))
        elif self._sold:
            sale, store, customer, bought = chance.choice(self._sold)
            lines = (bought * items)[:items]
        cents = sum(self._prices[product] * quantity for product, quantity in lines)
        method, why = chance.choice(_METHODS), chance.choice(_WHYS)
        values: list[Any] = [store, customer, _money(cents), sale, method, why, *[""] * 4]
        for product, quantity in lines:
            values += (product + 1, quantity, _money(self._prices[product]))
        values += [""] * (_OUTPUTS - len(values))
        for name in outputs:
            same = not buys and name == "payment"  # a return is told of the sale's payment
            values.append(sale.replace("sale", name) if same else f"{name}-{self._number}")
        return values


def _money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def _id_at(at: datetime, chance: random.Random) -> UUID:
    """A UUIDv7 of that time."""
    milliseconds = int(at.timestamp() * 1000)
    low = 2 << 62 | chance.getrandbits(62)
    return UUID(int=milliseconds << 80 | 7 << 76 | chance.getrandbits(12) << 64 | low)


# --- Writing --------------------------------------------------------------------------------------


def _copy(table: Any, text: str) -> None:
    columns = ", ".join(COLUMNS[table])
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {table._meta.db_table} ({columns}) FROM STDIN") as copy,
    ):
        copy.write(text)


def _insert(table: Any, text: str) -> None:
    table.objects.bulk_create(read(table, text))


def _tidy_up() -> None:
    """What autovacuum would do in time: without it the planner knows nothing of the new rows."""
    with connection.cursor() as cursor:
        for table in _TABLES:
            cursor.execute(f"VACUUM (ANALYZE) {table._meta.db_table}")
