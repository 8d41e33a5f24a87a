"""POST …/execute, /compensate and /retry: 202, 409, reasons, and races."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User

from sagas.models import Saga
from tests.api.client import SAGAS, Api, in_thread, unknown
from tests.api.contract import Contract

pytestmark = pytest.mark.django_db

# Where a saga stands, and what may be asked of it there.
ALLOWED = {
    "pending": ["compensate", "execute"],
    "in_progress": ["compensate"],
    "completed": ["compensate"],
    "failed": ["compensate", "retry"],
    "compensated": ["retry"],
}


def saga_in(api: Api, status: str) -> str:
    """A saga whose row says so."""
    saga_id = api.new(execute=status != "pending")
    if status != "in_progress":
        Saga.objects.filter(pk=saga_id).update(status=status, due_at=None)
    return saga_id


@pytest.mark.parametrize("operation", ["execute", "compensate", "retry"])
@pytest.mark.parametrize("status", ALLOWED)
def test_what_is_allowed_is_accepted_and_the_rest_refused(
    api: Api, status: str, operation: str
) -> None:
    saga_id = saga_in(api, status)
    events = api.get(f"{SAGAS}/{saga_id}/events").json
    answer = api.post(f"{SAGAS}/{saga_id}/{operation}")
    if operation in ALLOWED[status]:
        assert answer.status == 202
        assert answer.json == api.saga(saga_id)
    else:
        assert answer.status == 409
        assert answer.json["saga_status"] == status
        assert answer.json["allowed_operations"] == ALLOWED[status]
        assert answer.json["detail"].startswith("Not possible now: ")
        assert api.get(f"{SAGAS}/{saga_id}/events").json == events


def test_compensating_a_pending_saga_cancels_it(api: Api) -> None:
    saga_id = api.new()
    saga = api.post(f"{SAGAS}/{saga_id}/compensate").json
    assert saga["status"] == "compensated"
    assert api.post(f"{SAGAS}/{saga_id}/retry").json["run"] == 2


@pytest.mark.parametrize("operation", ["execute", "compensate", "retry"])
def test_the_reason_is_in_the_history(api: Api, operation: str) -> None:
    saga_id = saga_in(api, next(s for s, allowed in ALLOWED.items() if operation in allowed))
    reason = "à cause du client\n<script>alert(1)</script>"
    assert api.post(f"{SAGAS}/{saga_id}/{operation}", {"reason": reason}).status == 202
    events = api.get(f"{SAGAS}/{saga_id}/events").json
    assert [e["reason"] for e in events if e["kind"] == f"{operation}_requested"] == [reason]


def test_a_console_user_is_named(api: Api) -> None:
    saga_id = api.new()
    api.client.force_login(User.objects.create_user("ada"))
    api.post(f"{SAGAS}/{saga_id}/execute")
    assert api.get(f"{SAGAS}/{saga_id}/events").json[-1]["actor"] == "user:ada"


def test_a_console_user_is_protected_from_other_sites(api: Api) -> None:
    saga_id = api.new()
    api.client.force_login(User.objects.create_user("ada"))
    api.client.handler.enforce_csrf_checks = True
    assert api.post(f"{SAGAS}/{saga_id}/execute").status == 403
    assert api.saga(saga_id)["status"] == "pending"


@pytest.mark.parametrize("operation", ["execute", "compensate", "retry"])
def test_an_unknown_saga(api: Api, operation: str) -> None:
    api.refused(api.post(f"{unknown()}/{operation}"), 404)


@pytest.mark.parametrize(
    "body",
    [
        [],
        "stop",
        7,
        True,
        {"reason": None},
        {"reason": ["a"]},
        {"reason": {"a": 1}},
        {"reason": True},
        {"reason": "x" * 1001},
        {"raison": "x"},
        {"status": "completed"},
        {"reason": "", "actor": "system"},
    ],
)
def test_a_wrong_body_starts_nothing(api: Api, body: Any) -> None:
    saga_id = api.new()
    answer = api.post(f"{SAGAS}/{saga_id}/execute", body)
    assert answer.status == 400
    assert api.saga(saga_id)["status"] == "pending"


def test_a_body_is_not_needed(api: Api) -> None:
    for content_type in ("", "application/json", "application/x-www-form-urlencoded"):
        saga_id = api.new()
        answer = api.send("POST", f"{SAGAS}/{saga_id}/execute", b"", content_type)
        assert answer.status == 202, answer.body


@pytest.mark.django_db(transaction=True)
def test_of_racing_commands_one_wins(api: Api, contract: Contract) -> None:
    saga_id = api.new()

    def execute(_: int) -> int:
        return Api(contract).post(f"{SAGAS}/{saga_id}/execute").status

    with ThreadPoolExecutor(12) as pool:
        statuses = sorted(pool.map(in_thread(execute), range(24)))
    assert statuses == [202] + 23 * [409]
    kinds = [event["kind"] for event in api.get(f"{SAGAS}/{saga_id}/events").json]
    assert kinds == ["saga_created", "execute_requested"]
