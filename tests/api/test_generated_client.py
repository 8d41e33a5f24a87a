"""A client that openapi-python-client makes from the committed document, against a live server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
from dramatiq import Worker
from pytest_django.live_server_helper import LiveServer

from tests.api.client import PURCHASE
from tests.api.contract import COMMITTED

PACKAGE = "saga_client"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The generated package, importable."""
    folder = tmp_path_factory.mktemp("client")
    config = folder / "config.yaml"
    config.write_text("post_hooks: []\n")  # no formatting
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"]
    command += ["--path", str(COMMITTED), "--output-path", str(folder / PACKAGE)]
    made = subprocess.run(
        [*command, "--config", str(config), "--fail-on-warning"], capture_output=True, text=True
    )
    assert made.returncode == 0, made.stdout + made.stderr
    sys.path.insert(0, str(folder))
    yield folder / PACKAGE
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def api(name: str) -> ModuleType:
    """The module of one operation."""
    return import_module(f"{PACKAGE}.api.{name}")


@pytest.fixture
def models(package: Path) -> Any:
    return import_module(f"{PACKAGE}.models")


@pytest.fixture
def client(package: Path, live_server: LiveServer) -> Iterator[Any]:
    module = import_module(f"{PACKAGE}.client")
    with module.Client(base_url=live_server.url, raise_on_unexpected_status=True) as client:
        yield client


@pytest.fixture
def body(models: Any) -> Any:
    return models.CreateSagaRequest.from_dict(PURCHASE)


def test_a_saga_from_creation_to_its_end(
    models: Any, client: Any, body: Any, worker: Worker
) -> None:
    created = api("sagas.create_saga").sync_detailed(client=client, body=body)
    saga = created.parsed
    assert isinstance(saga, models.Saga)
    assert created.headers["Location"].endswith(str(saga.id))
    assert saga.status is models.SagaStatus.PENDING
    assert saga.allowed_operations == [models.Operation.COMPENSATE, models.Operation.EXECUTE]

    reason = models.OperationRequest(reason="go")
    ended = api("sagas.execute_saga").sync(saga.id, client=client, body=reason, prefer="wait=30")
    assert ended.status is models.SagaStatus.COMPLETED
    assert {step.status for step in ended.steps} == {models.StepStatus.COMPLETED}
    assert ended.steps[2].output["payment_id"]
    assert api("sagas.get_saga").sync(saga.id, client=client) == ended

    events = api("sagas.list_saga_events").sync(saga.id, client=client)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events[1].reason == "go"

    accepted = api("sagas.compensate_saga").sync_detailed(saga.id, client=client)
    assert accepted.status_code == 202
    waited = api("sagas.retry_saga").sync_detailed(saga.id, client=client)
    assert waited.status_code in (202, 409)  # whichever came first, the worker or we


def test_lists(models: Any, client: Any, body: Any) -> None:
    create, listing = api("sagas.create_saga"), api("sagas.list_sagas")
    ids = [create.sync(client=client, body=body).id for _ in range(3)]
    page = listing.sync(client=client, status=models.SagaStatus.PENDING, limit=2)
    assert (page.count, [saga.id for saga in page.results]) == (3, ids[:0:-1])
    oldest = models.ListSagasOrdering.CREATED_AT
    first = listing.sync(client=client, ordering=oldest, limit=1).results[0]
    assert first.id == ids[0]
    later = listing.sync(client=client, created_after=first.created_at)
    assert later.count == 3
    assert listing.sync(client=client, created_before=first.created_at).count == 0


def test_problems_are_objects(models: Any, client: Any, body: Any) -> None:
    create, retry = api("sagas.create_saga"), api("sagas.retry_saga")
    saga = create.sync(client=client, body=body, idempotency_key="k")
    assert create.sync(client=client, body=body, idempotency_key="k").id == saga.id
    problem = retry.sync(saga.id, client=client)
    assert (problem.status, problem.saga_status) == (409, models.SagaStatus.PENDING)
    assert problem.allowed_operations == [models.Operation.COMPENSATE, models.Operation.EXECUTE]
    assert api("sagas.get_saga").sync(uuid4(), client=client).status == 404
    body.data["amount"] = "1.00"
    assert create.sync(client=client, body=body, idempotency_key="k").status == 422
    assert create.sync(client=client, body=body).errors["data"]["amount"]


def test_monitoring(models: Any, client: Any) -> None:
    health = api("monitoring.get_health").sync(client=client)
    assert (health.status, health.database) == (models.HealthStatus.OK, models.PartStatus.OK)
    assert api("monitoring.get_liveness").sync(client=client).status == "ok"
    assert "saga_duration_seconds" in api("monitoring.get_metrics").sync(client=client)
