"""A saga whose rows nothing here understands: shown as far as it goes, and not operated."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import requests

from tests.input.guard import BODY, Guard, faults
from tests.input.people import log_in, token
from tests.input.wire import SAGAS, request

pytestmark = pytest.mark.xdist_group("input")

STEP = "UPDATE sagas_sagastep SET {} WHERE saga_id = %s AND position = 1"
SAGA = "UPDATE sagas_saga SET {} WHERE id = %s"
EVENT = "UPDATE sagas_sagaevent SET {} WHERE saga_id = %s AND seq = 1"
STATES = [
    STEP.format("effect = 'bogus'"),
    STEP.format("status = 'bogus'"),
    STEP.format("calling = 'bogus'"),
    SAGA.format("direction = 'bogus'"),
]
ODDITIES = [
    *STATES,
    STEP.format("name = 'renamed'"),
    "DELETE FROM sagas_sagastep WHERE saga_id = %s",
    STEP.format("output = '[1]'"),
    SAGA.format("data = '\"text\"'"),
    SAGA.format("data = '[]'"),
    SAGA.format("type = 'gone_saga'"),
    SAGA.format("definition_version = 99"),
    EVENT.format("kind = 'bogus'"),
    EVENT.format("data = '[]'"),
    EVENT.format("data = 'null'"),
    EVENT.format('data = \'{"call": [], "duration_ms": "x", "attempt": {}, "error": 1}\''),
    EVENT.format(
        'kind = \'execute_requested\', data = \'{"run": "x", "retry_at": "2026-99-99T00:00"}\''
    ),
]


@pytest.fixture
def saga_id(guard: Guard) -> Iterator[str]:
    made = guard.send(request("POST", SAGAS, json.dumps(BODY).encode())).json["id"]
    yield made
    # The tests after this one count and choose among sagas that can be read.
    for table, column in (("sagastep", "saga_id"), ("sagaevent", "saga_id"), ("saga", "id")):
        guard.rows.execute(f"DELETE FROM sagas_{table} WHERE {column} = %s", [made])


@pytest.fixture(scope="module")
def root(guard: Guard) -> requests.Session:
    return log_in(guard.service.url, "root")


@pytest.mark.parametrize("change", ODDITIES)
def test_it_is_shown(guard: Guard, root: requests.Session, saga_id: str, change: str) -> None:
    guard.rows.execute(change, [saga_id])
    mark = guard.mark()
    shown = guard.send(request("GET", f"{SAGAS}/{saga_id}"))
    assert (shown.status, shown.json["id"]) == (200, saga_id)
    if change in STATES:
        assert shown.json["allowed_operations"] == []
    assert guard.send(request("GET", f"{SAGAS}/{saga_id}/events")).json[0]["seq"] == 1
    assert guard.send(request("GET", f"{SAGAS}?search={saga_id}")).json["count"] == 1
    url = f"{guard.service.url}/admin/sagas/saga/"
    for page in (root.get(f"{url}{saga_id}/change/"), root.get(f"{url}?q={saga_id}")):
        assert page.status_code == 200
        assert saga_id in page.text
    assert not faults(guard.since(mark))


@pytest.mark.parametrize("change", STATES)
def test_operations_are_refused(
    guard: Guard, root: requests.Session, saga_id: str, change: str
) -> None:
    guard.rows.execute(change, [saga_id])
    url = f"{guard.service.url}/admin/sagas/saga/{saga_id}"
    for operation in ("execute", "compensate", "retry"):
        problem = guard.refused(request("POST", f"{SAGAS}/{saga_id}/{operation}"), 409).json
        assert problem["detail"].startswith("Not possible now: its rows cannot be read")
        assert problem["allowed_operations"] == []
        mark, before = guard.mark(), guard.count()
        data = {
            "reason": "x",
            "csrfmiddlewaretoken": token(root, guard.service.url, "/admin/password_change/"),
        }
        answer = root.post(f"{url}/{operation}/", data=data)
        assert answer.status_code == 200
        assert "is not possible now: its rows cannot be read" in answer.text
        assert root.get(f"{url}/{operation}/").url.endswith("/change/")
        assert guard.count() == before
        assert not faults(guard.since(mark))
    found = guard.service.run("saga", "execute", saga_id)
    assert found.wait() == 1
