"""One running service for all tests of this folder: API processes, PostgreSQL and Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.service import Service
from tests.api.contract import Contract
from tests.free_port import free_port
from tests.input.guard import Guard, faults
from tests.input.people import PEOPLE

BODY_LIMIT = 65_536


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("input")
    running = Service(folder, free_port())
    running.log = folder / "log"
    with running:
        people = running.run("shell", "-v0", "-c", PEOPLE)
        assert people.wait() == 0, running.log.read_text()
        running.start_api(
            LOG_LEVEL="info",
            SAGA_MAX_BODY_BYTES=str(BODY_LIMIT),
            SAGA_MAX_WAIT_S="1",
            SAGA_CLIENT_TIMEOUT_MS="1000",
        )
        yield running
        assert not faults(running.log.read_text(errors="replace"))


@pytest.fixture(scope="session")
def guard(service: Service) -> Iterator[Guard]:
    made = Guard(service, Contract())
    yield made
    made.still_serves()
    made.rows.close()
