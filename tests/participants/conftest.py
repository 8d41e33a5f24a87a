"""Stages that are closed after the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from shop import Shop
from tests.participants.stage import Stage


@pytest.fixture
def stage(shop: Shop, db: None) -> Iterator[Stage]:
    """The payment service without anything between."""
    with closing(Stage(shop)) as stage:
        yield stage


@pytest.fixture
def through_proxy(shop: Shop, db: None) -> Iterator[Stage]:
    """The payment service behind a proxy."""
    with closing(Stage(shop, through_proxy=True)) as stage:
        yield stage


@pytest.fixture
def stage_for(shop: Shop, db: None) -> Iterator[Callable[[str], Stage]]:
    """The stage on which oddities of the shop, or those of the proxy, are shown."""
    with ExitStack() as stages:
        yield lambda where: stages.enter_context(
            closing(Stage(shop, through_proxy=where == "proxy"))
        )
