"""Sagas that are created, claimed and started in one commit, and driven by who created them."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.db import OperationalError

from sagas import selectors
from sagas.domain.state import Json, SagaStatus
from sagas.engine import drive, store
from sagas.engine.engine import Engine
from sagas.engine.ports import Recorded, StepCall
from sagas.models import Saga
from tests.engine.stage import Stage, state_of

pytestmark = pytest.mark.django_db(transaction=True)


def create(stage: Stage, engine: Engine) -> store.Loaded:
    saga = Saga(type="stage", definition_version=1, data={}, created_at=selectors.database_now())
    return engine.create(
        saga, stage.definition, execute=True, actor="test", reason="hurry", claim=True
    )


def test_time_that_building_the_first_call_took_has_passed() -> None:
    """Else leases would be believed to last longer than they do, by all of it."""
    stage, built = Stage(), []

    def build(call: StepCall) -> Json:
        built.append(time.monotonic())
        return {}

    stage.build = build
    loaded = create(stage, stage.engine())
    assert loaded.read_tick <= built[0]
    row = Saga.objects.get(pk=loaded.id)
    assert {event.at for event in row.events.all()} == {row.created_at} == {row.started_at}


def test_who_drives_it_is_told_from_who_asked_for_it() -> None:
    stage = Stage()
    loaded = create(stage, stage.engine(owner="a process"))
    events = selectors.saga_events(loaded.id)
    assert [(event.kind, event.actor, event.reason) for event in events] == [
        ("saga_created", "test", "hurry"),
        ("execute_requested", "test", "hurry"),
        ("claimed", "a process", ""),
        ("attempt_started", "a process", ""),
    ]


def test_a_saga_that_ends_with_its_creation_had_a_start() -> None:
    stage = Stage()

    def build(call: StepCall) -> Json:
        raise ValueError("no such hotel: \0")

    stage.build = build
    told: list[Recorded] = []
    engine = stage.engine()
    engine.observers.append(told.append)
    loaded = create(stage, engine)
    engine.go_on(loaded, lambda: False)
    assert state_of(loaded.id).status is SagaStatus.FAILED
    row = Saga.objects.get(pk=loaded.id)
    assert r"no such hotel: \x00" in row.reason
    assert row.started_at == row.ended_at == told[0].started_at is not None
    assert stage.attempts == []


def test_an_answer_is_kept_for_no_longer_than_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client waits for it, and holds one of the few places for those that wait."""
    stage = Stage()
    engine = stage.engine(lease=timedelta(milliseconds=100))
    loaded = create(stage, engine)

    def away(*args: object, **kwargs: object) -> object:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(drive, "_KEEP_ANSWER", 1e9)
    monkeypatch.setattr(store, "save", away)
    with pytest.raises(OperationalError):
        engine.go_on(loaded, lambda: False)


def test_an_error_is_told_in_characters_that_can_be_kept() -> None:
    assert drive._shown(ValueError("\0 and \ud800")) == r"ValueError: \x00 and \ud800"
