"""Sagas made up for trying things out: examples in every state, and long histories."""

from sagas.seeding.examples import seed
from sagas.seeding.history import Made, make_history

__all__ = ["Made", "make_history", "seed"]
