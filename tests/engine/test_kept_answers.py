"""Answers are kept while the database is away, and recorded once."""

from __future__ import annotations

import pytest
from django.db import OperationalError

from sagas.domain.codec import encode
from sagas.domain.state import SagaStatus
from sagas.engine import store
from sagas.engine.ports import Recorded
from tests.engine.stage import Stage, kinds, state_of

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_answer_is_kept_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    saga_id = stage.create()
    save, failures = store.save, iter([1, 1, 1])

    def away(*args: object, **kwargs: object) -> object:
        if len(stage.attempts) > 0 and next(failures, 0):
            raise OperationalError("server closed the connection unexpectedly")
        return save(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "save", away)
    stage.engine().drive(saga_id)
    assert state_of(saga_id).status is SagaStatus.COMPLETED
    assert stage.names() == ["look", "book", "pay"]


def test_a_commit_whose_answer_was_lost_is_read_again_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage()
    saga_id = stage.create()
    save, failures = store.save, iter([1])

    def answer_lost(*args: object, **kwargs: object) -> object:
        saved = save(*args, **kwargs)  # type: ignore[arg-type]
        if len(stage.attempts) == 2 and next(failures, 0):
            raise OperationalError("server closed the connection unexpectedly")
        return saved

    monkeypatch.setattr(store, "save", answer_lost)
    told: list[Recorded] = []
    engine = stage.engine()
    engine.observers.append(told.append)
    engine.drive(saga_id)
    assert state_of(saga_id).status is SagaStatus.COMPLETED
    heard = [encode(event)[0] for recorded in told for event in recorded.events]
    assert heard == kinds(saga_id)[2:], "the observers were told of it all, once"
    assert stage.names() == ["look", "book", "pay"]
    assert kinds(saga_id).count("attempt_succeeded") == 3


def test_an_answer_is_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    saga_id = stage.create()
    save = store.save

    def away(*args: object, **kwargs: object) -> object:
        if stage.attempts:
            raise OperationalError("server closed the connection unexpectedly")
        return save(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "save", away)
    monkeypatch.setattr("sagas.engine.drive._KEEP_ANSWER", 0.3)
    with pytest.raises(OperationalError):
        stage.engine().drive(saga_id)
