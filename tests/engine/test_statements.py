"""The engine's prepared statements, on connections that something happened to."""

from __future__ import annotations

from threading import Thread

import pytest
from django.db import OperationalError, connection, transaction

from sagas.engine import store
from tests.api.client import on_servers
from tests.engine.stage import Stage, state_of

pytestmark = [pytest.mark.django_db(transaction=True), on_servers]


def _elsewhere(*statements: str) -> None:
    """Run them on another connection, as a migration does."""

    def run() -> None:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        connection.close()

    thread = Thread(target=run)
    thread.start()
    thread.join()


def _widen(characters: int) -> None:
    _elsewhere(f"ALTER TABLE sagas_saga ALTER COLUMN owner TYPE varchar({characters})")


def test_a_column_s_type_changes_under_open_connections() -> None:
    stage = Stage()
    saga_id = stage.create()
    store.load(saga_id)
    try:
        _widen(120)
        stage.engine().drive(saga_id)
        assert state_of(saga_id).owner == ""
        _widen(130)
        with pytest.raises(OperationalError, match="cached plan"), transaction.atomic():
            store.load(saga_id)  # the caller's transaction is lost, and to be tried again
        with transaction.atomic():
            store.load(saga_id)
    finally:
        _widen(100)
    assert stage.names() == ["look", "book", "pay"]


def test_plans_are_generic_without_options_that_poolers_refuse() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW plan_cache_mode")
        assert cursor.fetchone() == ("force_generic_plan",)
    assert "options" not in connection.get_connection_params()


def test_a_connection_that_was_closed_is_not_usable() -> None:
    made = connection.copy()
    made.connect()
    assert made.is_usable()
    made.connection.close()
    assert not made.is_usable()
    made.close()
