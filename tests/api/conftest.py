from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sagas.api import health
from shop import Shop
from tests.api.client import Api
from tests.api.contract import Contract
from tests.shop.client import request


@pytest.fixture(autouse=True)
def health_anew() -> None:
    """What an earlier test had the servers seen like."""
    health.forget()


@pytest.fixture(scope="session")
def contract() -> Contract:
    return Contract()


@pytest.fixture
def api(contract: Contract) -> Api:
    return Api(contract)


@pytest.fixture
def fault(shop: Shop) -> Callable[..., None]:
    """Sets a fault switch at a participant."""

    def put(participant: str, **switch: Any) -> None:
        content = json.dumps(switch).encode()
        assert request(shop.urls[participant], "PUT", "/faults", content).status == 201

    return put
