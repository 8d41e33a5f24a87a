from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from shop import Shop
from tests.shop.client import Caller

MEMORY = Path("/dev/shm")


@pytest.fixture
def shop() -> Iterator[Shop]:
    # In memory where there is such a folder: on a busy disk, syncing new files takes most of the
    # time. What must survive is tested by test_process, on the disk.
    memory = MEMORY if MEMORY.is_dir() else None
    with TemporaryDirectory(dir=memory) as state, Shop(state) as shop:
        yield shop


@pytest.fixture
def caller(shop: Shop) -> Caller:
    return Caller(shop)
