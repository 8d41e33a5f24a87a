"""The README's example is complete, and its table of variables too."""

import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import pytest

from executors.base import SagaExecutor
from executors.participants import participants
from sagas import selectors
from sagas.checks import check_executor
from sagas.domain import triggers as tr
from sagas.engine.engine import Engine
from sagas.models import Saga
from sagas.services import validated
from tests.engine.stage import LEASE

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


class Everything(BaseHTTPRequestHandler):
    """A participant that grants all, or refuses the paths that it is told to."""

    refused: frozenset[str] = frozenset()
    seen: list[tuple[str, Any]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.seen.append((self.path, body))
        answer = b'{"room_id": "r1", "charge_id": "c1"}'
        self.send_response(409 if self.path in self.refused else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: Any) -> None:
        return


@pytest.fixture
def trips(settings: Any) -> Iterator[SagaExecutor]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Everything)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    settings.SAGA_PARTICIPANTS = {"hotels": url, "bank": url}
    participants.cache_clear()
    module = ModuleType("trips")
    source = re.search(r"```python\n# trips.py\n(.*?)```", README, re.S)
    assert source is not None
    exec(source[1], module.__dict__)
    Everything.seen.clear()
    yield module.TripSagaExecutor()
    server.shutdown()
    server.server_close()
    participants.cache_clear()


class Catalog:
    def __init__(self, executor: SagaExecutor) -> None:
        self.executor = executor

    def find(self, saga_type: str, version: int) -> SagaExecutor:
        return self.executor


def run(executor: SagaExecutor) -> Saga:
    saga = Saga(
        type="trip_saga",
        definition_version=1,
        data=validated(executor, {"traveller_id": 7, "hotel": "Ritz", "price": "99.50"}),
        created_at=selectors.database_now(),
    )
    engine = Engine(Catalog(executor), owner="worker", lease=LEASE, park=LEASE)
    engine.create(saga, executor.definition, execute=False, actor="test")
    engine.command(saga.id, tr.Execute(), actor="test", reason="")
    engine.drive(saga.id)
    return Saga.objects.get(pk=saga.id)


@pytest.mark.django_db(transaction=True)
def test_the_example_saga_type_runs(trips: SagaExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_executor(trips) == []
    assert run(trips).status == "completed"
    assert [path for path, _ in Everything.seen] == ["/rooms", "/charges", "/vouchers"]
    assert Everything.seen[2][1] == {"room_id": "r1", "charge_id": "c1"}
    monkeypatch.setattr(Everything, "refused", frozenset({"/charges"}))
    assert run(trips).status == "compensated"
    assert Everything.seen[-1] == ("/rooms/cancel", {"room_id": "r1"})


def test_every_variable_is_in_the_table() -> None:
    modules = (ROOT / "sagaproject").glob("*.py")
    source = "".join(module.read_text(encoding="utf-8") for module in modules)
    read = set(re.findall(r'env\.(?:text|whole|number|flag|choice)\(\s*"([A-Z_]+)"', source))
    assert len(read) > 25
    missing = {name for name in read if f"`{name}`" not in README}
    assert missing == set()
