"""What an operator does at a shell."""

from collections import Counter
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import override_settings

from sagas import seeding, services
from sagas.domain.codec import decode
from sagas.domain.events import replay
from sagas.engine import store
from sagas.management import processes
from sagas.models import Saga
from tests.admin import staging

pytestmark = pytest.mark.django_db(transaction=True)


def said(*command: str, **options: Any) -> str:
    """What the command prints."""
    out = StringIO()
    call_command(*command, stdout=out, **options)
    return out.getvalue()


def test_seed_makes_every_state_of_both_types_once() -> None:
    first = said("seed")
    assert said("seed") == first
    statuses = Counter(Saga.objects.values_list("type", "status"))
    for saga_type in ("purchase_saga", "return_saga"):
        for status in ("pending", "in_progress", "completed", "failed", "compensated"):
            assert statuses[saga_type, status] >= 1, (saga_type, status)
    assert sum(statuses.values()) == 12


def test_seeded_sagas_are_real_ones() -> None:
    for _, saga_id in seeding.seed():
        saga = services.get_saga(saga_id)
        events = saga.events.order_by("seq")
        replayed = replay(decode(event.kind, event.data) for event in events)
        assert replayed == store.saga_state(saga, list(saga.steps.all()))


def test_no_worker_takes_a_seeded_saga() -> None:
    for _, saga_id in seeding.seed():
        before = services.get_saga(saga_id).seq
        services.drive(saga_id)
        assert services.get_saga(saga_id).seq == before


def test_list_filters_and_says_why() -> None:
    said("seed")
    lines = said("saga", "list", "--status", "failed").splitlines()
    assert len(lines) == 2
    assert "release_inventory was refused: inventory answered 409" in lines[1]
    assert len(said("saga", "list", "--type", "return_saga", "--limit", "3").splitlines()) == 3


def test_show_has_steps_and_history() -> None:
    ids = dict(seeding.seed())
    text = said("saga", "show", str(ids["purchase_saga/compensated"]))
    assert "allowed: retry" in text
    assert "compensation_triggered" in text
    assert "reserve_inventory        compensated  1+1 attempts" in text


def test_types_lists_the_steps() -> None:
    text = said("saga", "types")
    assert "purchase_saga version 1\n  validate_inventory\n" in text
    assert "  process_payment  <- refund_payment\n" in text


def test_an_operation_is_recorded_with_its_reason() -> None:
    saga_id = dict(seeding.seed())["return_saga/failed"]
    said("saga", "retry", str(saga_id), "--reason", "the bank is back")
    event = services.get_saga(saga_id).events.get(kind="retry_requested")
    assert event.actor.startswith("shell:")
    assert event.reason == "the bank is back"


def test_what_is_not_allowed_says_what_is() -> None:
    saga_id = dict(seeding.seed())["purchase_saga/completed"]
    with pytest.raises(CommandError, match="allowed now: compensate"):
        said("saga", "execute", str(saga_id))


def test_an_unknown_saga_is_one_line() -> None:
    with pytest.raises(CommandError, match="there is no saga 0190e5a0-"):
        said("saga", "show", "0190e5a0-0000-7000-8000-000000000000")


def test_several_processes_need_servers(settings: Any) -> None:
    settings.SAGA_SHARED_STATE = False
    with pytest.raises(CommandError, match="need PostgreSQL and Redis"):
        processes.require_service()


def test_a_database_without_tables_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    processes.require_schema()
    monkeypatch.setattr(MigrationExecutor, "migration_plan", lambda *args: [1, 2])
    with pytest.raises(CommandError, match="lacks 2 migrations: run "):
        processes.require_schema()


def test_wrong_settings_are_a_line_each(settings: Any) -> None:
    settings.SAGA_PARTICIPANTS = {"inventory": "http://127.0.0.1:1"}
    with pytest.raises(CommandError) as refused:
        said("api")
    lines = str(refused.value).splitlines()
    assert [line.split(":")[0] for line in lines] == ["sagas.E023", "sagas.E023"]
    assert "Set PARTICIPANT_PAYMENT_URL" in lines[0]


def test_an_unreachable_database_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(**parameters: Any) -> None:
        raise psycopg.OperationalError("connection refused\n\tIs the server running?")

    if connection.vendor != "postgresql":
        pytest.skip("a file is always there")
    monkeypatch.setattr(psycopg, "connect", refuses)
    with pytest.raises(CommandError, match=r"reached: connection refused Is the server running\?"):
        processes.require_schema()


@override_settings(SAGA_TWO_PERSON=True)
def test_what_takes_two_persons_is_refused_at_the_shell_in_one_line() -> None:
    saga = staging.completed()
    with pytest.raises(CommandError, match="takes two persons: propose it in the console"):
        call_command("saga", "compensate", str(saga.pk))
    assert Saga.objects.get(pk=saga.pk).status == "completed"
