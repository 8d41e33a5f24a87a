from collections.abc import Iterator
from pathlib import Path

import pytest

from shop import Shop
from tests.shop.client import Caller


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Shop(tmp_path) as shop:
        yield shop


@pytest.fixture
def caller(shop: Shop) -> Caller:
    return Caller(shop)
