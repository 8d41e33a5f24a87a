"""Retention: which sagas go, that they go whole, and that no saga which goes on is lost."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Event
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections, transaction
from django.test import override_settings

from sagas import selectors, services
from sagas.domain import triggers as tr
from sagas.domain.state import ENDED, Operation, SagaStatus
from sagas.engine.purge import Batch, Old, delete_batch
from sagas.models import (
    BulkItem,
    BulkOperation,
    Proposal,
    Saga,
    SagaEvent,
    SagaStep,
)
from tests.admin import staging
from tests.engine.stage import asked

pytestmark = pytest.mark.django_db

USUAL = (SagaStatus.COMPLETED, SagaStatus.COMPENSATED)
EVERY: tuple[Callable[[], Saga], ...] = (
    staging.pending,
    staging.due,
    staging.in_doubt,
    staging.compensating,
    staging.held,
    staging.driven_now,
    staging.completed,
    staging.compensated,
    staging.failed,
)
at_once = pytest.mark.django_db(transaction=True)
"""For tests in which others see what is committed."""


def aged(saga: Saga, days: float) -> Saga:
    """The saga as if all that it did had been that long ago."""
    then = selectors.database_now() - timedelta(days=days)
    Saga.objects.filter(pk=saga.pk).update(updated_at=then)
    Saga.objects.filter(pk=saga.pk, ended_at__isnull=False).update(ended_at=then)
    return saga


def old(*statuses: SagaStatus, days: float = 90) -> Old:
    before = selectors.database_now() - timedelta(days=days)
    return Old(statuses=statuses or USUAL, before=before)


def purge(*statuses: SagaStatus, days: float = 90, batch: int = 100, **more: Any) -> list[Batch]:
    return list(services.purge(old(*statuses, days=days), batch=batch, **more))


def there(*sagas: Saga) -> list[Saga]:
    """Those that are still in the database, whole."""
    left = [saga for saga in sagas if Saga.objects.filter(pk=saga.pk).exists()]
    for saga in sagas:
        steps, events = (
            model.objects.filter(saga_id=saga.pk).exists() for model in (SagaStep, SagaEvent)
        )
        assert steps == events == (saga in left)
    return left


@pytest.mark.parametrize("statuses", [USUAL, (SagaStatus.FAILED,), tuple(ENDED)])
def test_only_what_ended_in_these_statuses_goes(statuses: tuple[SagaStatus, ...]) -> None:
    sagas = [aged(make(), 91) for make in EVERY]
    purge(*statuses)
    stay = [saga for saga in sagas if saga.status not in statuses]
    assert there(*sagas) == stay
    assert len(stay) == len(sagas) - len(statuses)


@pytest.mark.parametrize("status", set(SagaStatus) - ENDED)
def test_what_has_not_ended_cannot_be_asked_for(status: SagaStatus) -> None:
    with pytest.raises(ValueError, match="have ended"):
        purge(SagaStatus.COMPLETED, status)


def test_what_is_younger_stays() -> None:
    older, younger = aged(staging.completed(), 90.1), aged(staging.completed(), 89.9)
    purge()
    assert there(older, younger) == [younger]


def test_a_saga_that_was_edited_since_stays() -> None:
    saga = aged(staging.compensated(), 91)
    services.perform(
        saga.pk,
        tr.EditData(data=saga.data | {"customer_id": 9}, before=saga.data),
        actor="user:ann",
        reason="she moved",
    )
    purge()
    assert there(saga) == [saga]


def test_what_is_told_of_is_what_went() -> None:
    sagas = [aged(staging.completed(), 91) for _ in range(3)]
    steps, events = SagaStep.objects.count(), SagaEvent.objects.count()
    staging.completed()
    (batch,) = purge()
    assert (batch.sagas, batch.steps, batch.events) == (3, steps, events)
    assert not there(*sagas)
    assert purge() == []


def test_a_limit_takes_those_that_ended_first() -> None:
    sagas = [aged(staging.completed(), 100 - n) for n in range(5)]
    assert [batch.sagas for batch in purge(batch=2, limit=3)] == [2, 1]
    assert there(*sagas) == sagas[3:]
    assert [batch.sagas for batch in purge(batch=2)] == [2]


def test_sagas_that_ended_at_one_moment_are_all_found() -> None:
    sagas = [staging.completed() for _ in range(5)]
    then = selectors.database_now() - timedelta(days=91)
    Saga.objects.update(ended_at=then, updated_at=then)
    assert [batch.sagas for batch in purge(batch=2)] == [2, 2, 1]
    assert not there(*sagas)


@pytest.mark.parametrize("apart", [0, 1])
def test_what_is_kept_is_asked_about_once(apart: int) -> None:
    """It is passed by, whether or not others ended at the same moment."""
    sagas = [aged(staging.completed(), 91) for _ in range(3)]
    then = selectors.database_now() - timedelta(days=91)
    for number, saga in enumerate(sagas):
        Saga.objects.filter(pk=saga.pk).update(ended_at=then + number * timedelta(hours=apart))
    batches = itertools.islice(_kept(old()), 4)
    assert [(batch.sagas, batch.kept) for batch in batches] == [(0, 1)] * 3
    assert there(*sagas) == sagas


def _kept(which: Old) -> Iterator[Batch]:
    after = None
    while (batch := delete_batch(which, after=after, size=1, keep=lambda ids: [])).last:
        after = batch.last
        yield batch


@override_settings(SAGA_TWO_PERSON=True)
def test_a_saga_that_was_proposed_for_meanwhile_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """The choice does not see the proposal, which is committed before the saga is locked."""
    saga = aged(staging.completed(), 91)
    fingerprint = services.preview(saga.pk, tr.Compensate()).fingerprint
    services.propose(saga.pk, actor="user:ann", reason="recall", fingerprint=fingerprint)
    which = old()
    monkeypatch.setattr(Old, "sagas", lambda self: Saga.objects.filter(ended_at__lt=self.before))
    assert delete_batch(which, after=None, size=10, keep=list).sagas == 0
    assert there(saga) == [saga]


def test_a_batch_takes_few_statements_however_large() -> None:
    statements = set()
    for number in (1, 6):
        for _ in range(number):
            aged(staging.completed(), 91)
        with asked() as made:
            delete_batch(old(), after=None, size=100, keep=list)
        assert len([each for each in made if each.startswith("DELETE")]) == 4
        statements.add(len(made))
    assert len(statements) == 1


# --- What somebody still waits for ----------------------------------------------------------------


@override_settings(SAGA_TWO_PERSON=True)
def test_an_open_proposal_keeps_its_saga_and_a_decided_one_goes_with_it() -> None:
    open_, decided = aged(staging.completed(), 91), aged(staging.completed(), 91)
    for saga in (open_, decided):
        fingerprint = services.preview(saga.pk, tr.Compensate()).fingerprint
        services.propose(saga.pk, actor="user:ann", reason="recall", fingerprint=fingerprint)
    services.reject(Proposal.objects.get(saga=decided.pk).pk, actor="user:bob")
    (batch,) = purge()
    assert batch.proposals == 1
    assert there(open_, decided) == [open_]
    assert Proposal.objects.get().saga_id == open_.pk


def test_a_bulk_operation_keeps_its_sagas_until_it_has_ended() -> None:
    User.objects.create_superuser("ann")
    saga = aged(staging.compensated(), 91)
    bulk = services.draft_bulk(Operation.RETRY, [saga.pk], actor="user:ann")
    assert purge() == []
    services.run_bulk(bulk.pk)
    assert purge() == []
    services.stop_bulk(bulk.pk, why="not today")
    purge()
    assert not there(saga)


def test_bulk_operations_go_when_they_ended_or_were_left_unconfirmed_as_long_ago() -> None:
    def drafted(**times: int) -> UUID:
        bulk = services.draft_bulk(Operation.RETRY, [staging.failed().pk], actor="user:ann")
        now = selectors.database_now()
        values = {name: now - timedelta(days=days) for name, days in times.items()}
        BulkOperation.objects.filter(pk=bulk.pk).update(due_at=None if times else now, **values)
        return bulk.pk

    gone = {
        drafted(previewed_at=95, confirmed_at=95, ended_at=91),
        drafted(previewed_at=91),
    }
    stay = {
        drafted(previewed_at=95, confirmed_at=95, ended_at=89),
        drafted(previewed_at=95, confirmed_at=95),
        drafted(previewed_at=89),
        drafted(),
    }
    before = selectors.database_now() - timedelta(days=90)
    assert list(services.purge_bulk_operations(before)) == [1, 1]
    assert set(BulkOperation.objects.values_list("pk", flat=True)) == stay
    assert not BulkItem.objects.filter(bulk__in=gone).exists()
    assert Saga.objects.count() == 6


# --- Races ----------------------------------------------------------------------------------------


def elsewhere(pool: ThreadPoolExecutor, work: Callable[[], Any]) -> Future[Any]:
    """The work, on a connection of its own."""

    def run() -> Any:
        try:
            return work()
        finally:
            connections.close_all()

    return pool.submit(run)


def retry(saga: Saga) -> Saga:
    return services.retry(saga.pk, actor="user:ann", reason="again")


@at_once
def test_a_saga_that_somebody_writes_to_is_passed_over() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("the whole database is locked there, and the purge waits")
    revived, other = aged(staging.compensated(), 92), aged(staging.compensated(), 91)
    written, purged = Event(), Event()

    def revive() -> None:
        with transaction.atomic():
            retry(revived)
            written.set()
            assert purged.wait(30)

    with ThreadPoolExecutor(1) as pool:
        done = elsewhere(pool, revive)
        assert written.wait(30)
        purge()  # and does not wait
        purged.set()
        done.result(30)
    assert there(revived, other) == [revived]
    assert staging.drive(revived).status == "completed"


@at_once
def test_who_comes_while_a_saga_is_deleted_finds_none() -> None:
    saga = aged(staging.compensated(), 91)
    with ThreadPoolExecutor(1) as pool:
        asked: list[Future[Any]] = []

        def keep(ids: Collection[UUID]) -> Collection[UUID]:
            asked.append(elsewhere(pool, lambda: retry(saga)))
            with pytest.raises(TimeoutError):
                asked[0].result(0.3)  # it waits until this transaction has ended
            return ids

        delete_batch(old(), after=None, size=10, keep=keep)
        with pytest.raises(services.SagaNotFound):
            asked[0].result(30)
    assert not there(saga)


@at_once
def test_whoever_is_first_no_saga_is_lost_in_part() -> None:
    sagas = [aged(staging.compensated(), 91) for _ in range(12)]
    with ThreadPoolExecutor(4) as pool:
        retried = [elsewhere(pool, partial(retry, saga)) for saga in reversed(sagas)]
        purges = [elsewhere(pool, lambda: purge(batch=1)) for _ in range(2)]
        deleted = sum(batch.sagas for each in purges for batch in each.result(60))
    errors = [each.exception() for each in retried]
    revived = [s for s, error in zip(reversed(sagas), errors, strict=True) if error is None]
    assert {type(error) for error in errors if error} <= {
        services.SagaNotFound,
        services.NotAllowed,  # read when half of its rows were gone, a moment before all were
    }
    assert set(there(*sagas)) == set(revived)
    assert deleted == len(sagas) - len(revived)
    assert {staging.drive(saga).status for saga in revived} <= {"completed"}


@at_once
def test_two_purges_at_once_share_the_work() -> None:
    sagas = [aged(staging.completed(), 91) for _ in range(10)]
    with ThreadPoolExecutor(2) as pool:
        both = [elsewhere(pool, lambda: purge(batch=1)) for _ in range(2)]
        assert sum(batch.sagas for each in both for batch in each.result(30)) == 10
    assert not there(*sagas)
