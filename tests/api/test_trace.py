"""traceparent and tracestate: kept with the saga they create, and never refused."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection

from executors.participants import Participant
from sagaproject.logs import Json
from sagas import services
from sagas.domain import trace
from sagas.models import Saga
from shop import Shop
from tests.api.client import PURCHASE, SAGAS, Api

pytestmark = pytest.mark.django_db

ID, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{ID}-{SPAN}-01"
OTHER = f"00-{'a' * 32}-{SPAN}-01"


def test_the_saga_is_part_of_its_client_s_trace(api: Api) -> None:
    saga = api.create(traceparent=GOOD, tracestate="a=1, b=2").json
    assert saga["trace_id"] == ID
    assert api.saga(saga["id"])["trace_id"] == ID
    assert Saga.objects.get().trace == f"{GOOD} a=1,b=2"


@pytest.mark.parametrize(
    "wrong",
    ["", "garbage", f"{GOOD}, {GOOD}", GOOD.upper(), "é" * 60, "x" * 7000, f"{GOOD}\x7f"],
    ids=range(7),
)
def test_a_wrong_traceparent_is_left_aside(api: Api, wrong: str) -> None:
    answer = api.create(traceparent=wrong, tracestate="a=1")
    assert answer.status == 201
    saga = Saga.objects.get()
    assert saga.trace == ""
    assert answer.json["trace_id"] == trace.of_saga(saga.id, "").trace_id


@pytest.mark.parametrize("wrong", ["garbage", "é=1", "a=1," * 3000, "=", "\x7f"], ids=range(5))
def test_a_wrong_tracestate_spoils_nothing(api: Api, wrong: str) -> None:
    answer = api.create(traceparent=GOOD, tracestate=wrong)
    assert (answer.status, answer.json["trace_id"]) == (201, ID)
    assert Saga.objects.get().trace == GOOD


def test_a_repeated_request_gets_the_trace_of_the_first(api: Api) -> None:
    first = api.create(traceparent=GOOD, Idempotency_Key="k").json
    again = api.create(traceparent=OTHER, Idempotency_Key="k").json
    assert (again["id"], again["trace_id"]) == (first["id"], ID)


def test_operations_do_not_change_a_saga_s_trace(api: Api) -> None:
    saga_id = api.create(traceparent=GOOD).json["id"]
    for operation in ("execute", "compensate"):
        answer = api.post(f"{SAGAS}/{saga_id}/{operation}", traceparent=OTHER)
        assert (answer.status, answer.json["trace_id"]) == (202, ID)


def test_code_of_before_inserts_sagas_that_have_a_trace_of_their_own(api: Api) -> None:
    """While a new version is deployed, the older one knows nothing of the column."""
    api.create(traceparent=GOOD)
    known = [f.column for f in Saga._meta.fields if f.name not in ("id", "trace")]
    names, saga_id = ", ".join(f'"{name}"' for name in known), uuid4()
    with connection.cursor() as cursor:
        copy = f"INSERT INTO sagas_saga (id, {names}) SELECT %s, {names} FROM sagas_saga"
        cursor.execute(copy, [saga_id.hex if connection.vendor == "sqlite" else saga_id])
    assert api.saga(str(saga_id))["trace_id"] == trace.of_saga(saga_id, "").trace_id


@pytest.fixture
def log() -> Iterator[list[dict[str, Any]]]:
    """The lines that are logged, as they are written."""
    lines: list[dict[str, Any]] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(json.loads(self.format(record)))

    root, keeper = logging.getLogger(), Keeper()
    [written] = [h for h in root.handlers if isinstance(h.formatter, Json)]
    keeper.setFormatter(written.formatter)
    root.addHandler(keeper)
    yield lines
    root.removeHandler(keeper)


@pytest.mark.django_db(transaction=True)
def test_lines_of_the_log_name_the_trace(api: Api, log: list[dict[str, Any]]) -> None:
    saga_id = api.create(traceparent=GOOD).json["id"]
    api.post(f"{SAGAS}/{saga_id}/execute", traceparent=OTHER)
    api.post(f"{SAGAS}/{saga_id}/compensate")
    told = [line for line in log if line.get("saga_id") == saga_id]
    assert {line["trace_id"] for line in told} == {ID}
    clients = {line["message"]: line.get("client_trace_id") for line in told}
    assert clients == {
        "saga created": None,
        "saga started": "a" * 32,
        "compensation triggered": None,
        "saga compensated": None,
    }


@pytest.mark.django_db(transaction=True)
def test_lines_of_a_drive_name_saga_and_trace(
    api: Api, shop: Shop, log: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Participant, "send", lambda *call: 1 / 0)
    saga_id = api.new(execute=True)
    services.drive(UUID(saga_id))
    [line] = [line for line in log if line["message"].startswith("the call for step")]
    assert (line["saga_id"], line["trace_id"]) == (saga_id, api.saga(saga_id)["trace_id"])


@pytest.mark.parametrize(("given", "told"), [(GOOD, ID), ("garbage", None)])
def test_lines_of_a_request_name_the_client_s_trace(
    api: Api, log: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, given: str, told: object
) -> None:
    monkeypatch.setattr(services, "create_saga", lambda *a, **k: logging.warning("asked"))
    api.client.post(SAGAS, PURCHASE, "application/json", headers={"traceparent": given})
    [line] = [line for line in log if line["message"] == "asked"]
    assert line["request_id"]
    assert line.get("trace_id") == told
