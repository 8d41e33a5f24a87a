from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings

from sagas.models import Saga
from shop import Shop
from tests.conftest import QUICK, begin_anew
from tests.verify import made
from tests.verify.made import Made


@pytest.fixture(scope="session")
def histories(
    tmp_path_factory: pytest.TempPathFactory, django_db_setup: None, django_db_blocker: Any
) -> dict[str, Made]:
    """Real histories by name; made once, as they are plain data from then on."""
    folder, read = tmp_path_factory.mktemp("shop"), {}
    with (
        Shop(folder) as shop,
        override_settings(SAGA_PARTICIPANTS=shop.urls, **QUICK),
        django_db_blocker.unblock(),
    ):
        begin_anew()
        for name, make in made.REAL.items():
            read[name] = made.read(make(shop), shop)
        read["held"] = made.held()
        read["anew"] = made.anew()
        read["overdue"] = made.read(made.overdue(shop), shop)
        Saga.objects.all().delete()
    begin_anew()
    return read
