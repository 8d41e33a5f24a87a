"""A worker that died is known at once by its lock in PostgreSQL, and its sagas are due."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, cast

import psycopg
import pytest
from django.core.cache import cache
from django.db import connection

from sagas import runtime, selectors, services
from sagas.domain.state import Effect, SagaStatus
from sagas.engine.lock import saga_lock
from sagas.engine.presence import Presence, living
from sagas.models import SagaStep
from tests.api.client import on_servers
from tests.engine.stage import OK, Stage, kinds, state_of

pytestmark = [pytest.mark.django_db(transaction=True), on_servers]

DEAD = "host:1:00000000"


class Killed(BaseException):
    pass


@pytest.fixture
def mine() -> Iterator[Presence]:
    presence = Presence("host:2:00000000", sure_after=0)
    yield presence
    presence.close()


@pytest.fixture
def other() -> Iterator[Presence]:
    presence = Presence(DEAD, sure_after=0)
    yield presence
    presence.close()


def missed(presence: Presence, *owners: str) -> set[str]:
    """Who is gone after two looks."""
    presence.gone(owners)
    return presence.gone(owners)


def test_a_worker_is_alive_as_long_as_its_connection(mine: Presence, other: Presence) -> None:
    other.gone([])
    assert mine.gone([DEAD, "host:2:00000000"]) == set()
    other.close()
    until = time.monotonic() + 5
    while mine.gone([DEAD]) != {DEAD}:
        assert time.monotonic() < until
    other.gone([])
    assert mine.gone([DEAD]) == set()


def test_one_look_is_not_enough(mine: Presence, other: Presence) -> None:
    assert mine.gone([DEAD]) == set()
    other.gone([])
    assert mine.gone([DEAD]) == set(), "it was only slow to come back"
    other.close()
    time.sleep(0.3)
    assert [mine.gone([DEAD]) for _ in range(2)] == [set(), {DEAD}]


def test_a_process_that_is_killed_is_gone(mine: Presence) -> None:
    lock = (
        "import django, sys, time; django.setup()\n"
        "from django.db import connection; connection.settings_dict['NAME'] = sys.argv[2]\n"
        "from sagas.engine.presence import Presence\n"
        "presence = Presence(sys.argv[1], sure_after=0); presence.gone([])\n"
        "print('held', flush=True); time.sleep(60)"
    )
    name = str(connection.settings_dict["NAME"])
    settings = connection.settings_dict
    url = f"postgresql://{settings['USER']}:{settings['PASSWORD']}@{settings['HOST']}:"
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "sagaproject.settings",
        "DATABASE_URL": f"{url}{settings['PORT']}/{name}",
    }
    with subprocess.Popen(
        [sys.executable, "-c", lock, DEAD, name], env=env, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert mine.gone([DEAD]) == set()
        process.send_signal(signal.SIGKILL)
        killed, until = time.monotonic(), time.monotonic() + 5
        while mine.gone([DEAD]) != {DEAD}:
            assert time.monotonic() < until
        assert time.monotonic() - killed < 2


def test_nobody_is_gone_until_this_worker_is_sure() -> None:
    fresh = Presence("host:3:00000000", sure_after=0.3)
    try:
        assert missed(fresh, DEAD) == set()
        time.sleep(0.35)
        assert missed(fresh, DEAD) == {DEAD}
        # As when the database was restarted: all locks are lost at once.
        cast(Any, fresh)._connection.close()
        assert fresh.gone([DEAD]) == set(), "the connection is broken"
        assert missed(fresh, DEAD) == set(), "the others may not have theirs again yet"
        time.sleep(0.35)
        assert missed(fresh, DEAD) == {DEAD}
    finally:
        fresh.close()


def bury(presence: Presence) -> None:
    """As its sweeper does, twice."""
    services.take_from_the_gone(presence)
    services.take_from_the_gone(presence)


def test_its_saga_is_due_at_once_and_its_call_in_doubt(
    mine: Presence, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage()
    saga_id = stage.create()

    def dies(call: object) -> Any:
        raise Killed

    stage.script = {"book": [dies]}
    with pytest.raises(Killed):
        stage.engine(DEAD).drive(saga_id)
    cache.set(f"saga-lock:{saga_id}", "of the dead", timeout=60)
    stage.engine("worker-2").drive(saga_id)
    assert stage.names() == ["look", "book"], "its lease and its lock still hold"
    monkeypatch.setattr(runtime, "engine", lambda: stage.engine("host:2:00000000"))
    bury(mine)
    with saga_lock(saga_id, 5) as free:
        assert free
    assert state_of(saga_id).owner == ""
    stage.engine("worker-2").drive(saga_id)
    assert state_of(saga_id).status is SagaStatus.COMPLETED
    assert stage.names() == ["look", "book", "book", "pay"]
    assert kinds(saga_id).count("worker_lost") == 1
    assert "attempt_interrupted" in kinds(saga_id)


def test_one_that_was_taken_for_dead_may_still_record_its_answer(
    mine: Presence, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage()
    saga_id = stage.create()
    monkeypatch.setattr(runtime, "engine", lambda: stage.engine("host:2:00000000"))

    def meanwhile(call: object) -> Any:
        bury(mine)
        assert state_of(saga_id).owner == ""
        return OK

    stage.script = {"book": [meanwhile]}
    stage.engine(DEAD).drive(saga_id)
    state = state_of(saga_id)
    assert state.step("book").effect is Effect.APPLIED
    assert (state.owner, state.calling) == ("", None), "but it starts nothing any more"
    stage.engine("worker-2").drive(saga_id)
    assert state_of(saga_id).status is SagaStatus.COMPLETED
    assert stage.names() == ["look", "book", "pay"]


def test_a_living_worker_keeps_its_sagas(
    mine: Presence, other: Presence, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage()
    saga_id = stage.create()
    other.gone([])
    monkeypatch.setattr(runtime, "engine", lambda: stage.engine("host:2:00000000"))

    def meanwhile(call: object) -> Any:
        bury(mine)
        return OK

    stage.script = {"book": [meanwhile]}
    stage.engine(DEAD).drive(saga_id)
    assert state_of(saga_id).status is SagaStatus.COMPLETED
    assert "worker_lost" not in kinds(saga_id)


def test_the_lock_is_no_other_s() -> None:
    """Advisory locks of other users of the database do not count."""
    presence = Presence("host:4:00000000", sure_after=0)
    try:
        presence.gone([])
        parameters = connection.get_connection_params()
        with connection.get_new_connection(parameters) as stranger:
            assert isinstance(stranger, psycopg.Connection)
            stranger.execute("SELECT pg_advisory_lock(1, 2)")
            assert missed(presence, DEAD) == {DEAD}
    finally:
        presence.close()


def test_a_saga_that_is_lost_again_and_again_waits_for_the_end_of_its_lease(
    mine: Presence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker whose connection keeps breaking must not get its sagas stopped as poison."""
    stage = Stage()
    saga_id = stage.create()
    monkeypatch.setattr(runtime, "engine", lambda: stage.engine("host:2:00000000"))

    def dies(call: object) -> Any:
        raise Killed

    stage.script = {"book": [dies] * 3}
    for owner in ("", "", DEAD):
        with pytest.raises(Killed):
            stage.engine(DEAD).drive(saga_id)
        bury(mine)
        assert state_of(saga_id).owner == owner
    assert kinds(saga_id).count("worker_lost") == 2
    assert state_of(saga_id).crashes == 2


def test_one_that_this_process_cannot_drive_keeps_nobody_from_the_others(
    mine: Presence, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, ids = Stage(), []

    def dies(call: object) -> Any:
        raise Killed

    for _ in range(2):
        saga_id = stage.create()
        stage.script = {"book": [dies]}
        with pytest.raises(Killed):
            stage.engine(DEAD).drive(saga_id)
        ids.append(saga_id)
    SagaStep.objects.filter(saga_id=ids[0], name="pay").update(effect="bogus")
    monkeypatch.setattr(runtime, "engine", lambda: stage.engine("host:2:00000000"))
    stage.known = False
    bury(mine)
    assert state_of(ids[1]).owner == DEAD
    stage.known = True
    bury(mine)
    assert state_of(ids[1]).owner == ""
    assert kinds(ids[0])[-1] == "attempt_started", "its lease ends by itself"


@pytest.mark.parametrize(
    ("owner", "shown"),
    [
        ("host-a:12:0badcafe", "host-a:12:0badcafe"),
        (f"{'h' * 60}:4711:0badcafe", f"{'h' * 49}:4711:0badcafe"),
        (f"{'é' * 40}:1:0badcafe", f"{'?' * 40}:1:0badcafe"),
    ],
)
def test_the_living_are_named(owner: str, shown: str) -> None:
    """By the end of the name where it is too long: that tells the processes of a host apart."""
    presence = Presence(owner, sure_after=0)
    try:
        presence.gone([])
        (worker,) = living() or []
        assert worker.name == shown
        assert worker.is_called(owner)
        assert not worker.is_called(DEAD)
        assert worker.since is not None
        assert abs(worker.since - selectors.database_now()).total_seconds() < 5
    finally:
        presence.close()


def test_nobody_lives_where_nobody_holds_a_lock(mine: Presence) -> None:
    mine.gone([])
    assert len(living() or []) == 1
    mine.close()
    until = time.monotonic() + 5
    while living():
        assert time.monotonic() < until
