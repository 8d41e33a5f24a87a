"""Bulk operations: previewed, confirmed, done one by one, with a result for each saga."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.test import override_settings

from sagas import services
from sagas.domain.state import Operation
from sagas.models import BulkItem, BulkOperation, Saga, SagaEvent
from sagas.services import bulk
from tests.admin import staging

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _ann(db: None) -> None:
    User.objects.create_superuser("ann")


def drafted(*sagas: Saga, operation: Operation = Operation.RETRY) -> BulkOperation:
    made = services.draft_bulk(operation, [saga.id for saga in sagas], actor="user:ann")
    services.run_bulk(made.pk)
    made.refresh_from_db()
    return made


def done(made: BulkOperation) -> dict[UUID, tuple[str, str]]:
    services.confirm_bulk(made.pk, actor="user:ann", reason="the bank is back")
    services.run_bulk(made.pk)
    made.refresh_from_db()
    return {item.saga_id: (item.result, item.message) for item in made.items.all()}


def test_each_saga_is_previewed_before_anything_is_done() -> None:
    failed, completed = staging.failed(), staging.completed()
    before = staging.facts(failed)
    made = drafted(failed, completed)
    assert made.previewed_at is not None
    items = {item.saga_id: item for item in made.items.all()}
    assert items[failed.id].plan == "refund_payment → release_inventory → compensated"
    assert items[failed.id].result == ""
    assert items[completed.id].result == "refused"
    assert "cannot retry" in items[completed.id].message
    assert staging.facts(failed) == before


def test_what_was_previewed_is_done_and_each_saga_has_its_result() -> None:
    failed, completed = staging.failed(), staging.completed()
    made = drafted(failed, completed)
    results = done(made)
    assert results[failed.id] == ("accepted", "")
    assert results[completed.id][0] == "refused"
    assert made.ended_at is not None
    event = SagaEvent.objects.get(saga=failed.id, kind="retry_requested")
    assert event.actor == "user:ann"
    assert event.reason == f"the bank is back (bulk {made.pk})"
    assert Saga.objects.get(pk=failed.pk).status == "in_progress"


def test_a_saga_that_moved_on_since_the_preview_is_left_alone() -> None:
    moved, still = staging.failed(), staging.failed()
    made = drafted(moved, still)
    services.retry(moved.id, actor="user:bob")
    staging.drive(moved, {"refund_payment": [staging.NO]})
    before = staging.facts(moved)
    results = done(made)
    assert results[moved.id] == ("refused", "the saga moved on since the preview")
    assert results[still.id] == ("accepted", "")
    assert staging.facts(moved) == before


def test_nothing_is_done_unless_it_is_confirmed_by_who_asked_for_it() -> None:
    made = services.draft_bulk(Operation.RETRY, [staging.failed().id], actor="user:ann")
    with pytest.raises(services.NotConfirmable):  # it is not previewed
        services.confirm_bulk(made.pk, actor="user:ann", reason="why")
    services.run_bulk(made.pk)
    with pytest.raises(services.NotConfirmable):
        services.confirm_bulk(made.pk, actor="user:bob", reason="why")
    services.run_bulk(made.pk)
    assert not SagaEvent.objects.filter(kind="retry_requested").exists()
    services.confirm_bulk(made.pk, actor="user:ann", reason="why")
    with pytest.raises(services.NotConfirmable):
        services.confirm_bulk(made.pk, actor="user:ann", reason="why")


def test_it_is_due_until_it_has_ended() -> None:
    made = services.draft_bulk(Operation.RETRY, [staging.failed().id], actor="user:ann")
    assert services.due_bulks() == [made.pk]
    services.run_bulk(made.pk)
    assert services.due_bulks() == []
    services.confirm_bulk(made.pk, actor="user:ann", reason="why")
    assert services.due_bulks() == [made.pk]
    services.run_bulk(made.pk)
    assert services.due_bulks() == []


def test_a_worker_that_dies_leaves_the_rest_to_another_and_nothing_is_done_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sagas = [staging.failed() for _ in range(3)]
    made = drafted(*sagas)
    services.confirm_bulk(made.pk, actor="user:ann", reason="why")
    perform, left = services.perform, iter([True])

    def dies_on_the_second(*args: Any, **kwargs: Any) -> Any:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return perform(*args, **kwargs)

    monkeypatch.setattr(bulk, "perform", dies_on_the_second)
    with pytest.raises(KeyboardInterrupt):
        services.run_bulk(made.pk)
    monkeypatch.undo()
    services.run_bulk(made.pk)
    assert services.due_bulks() == []  # the lease of the dead worker stands
    BulkOperation.objects.update(due_at=made.created_at)
    services.run_bulk(made.pk)
    asked = SagaEvent.objects.filter(kind="retry_requested").values_list("saga_id", flat=True)
    assert sorted(asked) == sorted(saga.id for saga in sagas)
    assert set(made.items.values_list("result", flat=True)) == {"accepted"}


def test_a_result_and_its_operation_are_one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    saga = staging.failed()
    made = drafted(saga)
    services.confirm_bulk(made.pk, actor="user:ann", reason="why")
    before = staging.facts(saga)

    def full(self: BulkItem, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(BulkItem, "save", full)
    with pytest.raises(KeyboardInterrupt):
        services.run_bulk(made.pk)
    assert staging.facts(saga) == before


def test_a_worker_that_stops_leaves_the_rest() -> None:
    made = services.draft_bulk(Operation.RETRY, [staging.failed().id], actor="user:ann")
    services.run_bulk(made.pk, stopping=lambda: True)
    assert made.items.get().fingerprint == ""
    assert services.due_bulks() == [made.pk]


def test_unknown_sagas_doubles_and_wrong_numbers_of_them() -> None:
    saga, unknown = staging.failed(), uuid4()
    made = services.draft_bulk(Operation.RETRY, [saga.id, saga.id, unknown], actor="user:ann")
    services.run_bulk(made.pk)
    assert made.items.count() == 2
    assert made.items.get(saga_id=unknown).message == "there is no such saga"
    for ids in ([], [uuid4() for _ in range(bulk.MOST_IN_BULK + 1)]):
        with pytest.raises(services.TooMany):
            services.draft_bulk(Operation.RETRY, ids, actor="user:ann")


def unreadable(saga: Saga) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE sagas_saga SET deadline = 'infinity' WHERE id = %s", [saga.pk])


@pytest.mark.skipif(connection.vendor == "sqlite", reason="its times have no infinity")
@pytest.mark.parametrize("when", ["before the preview", "after it"])
def test_a_saga_that_nobody_can_read_does_not_hold_up_the_others(when: str) -> None:
    odd, good = staging.failed(), staging.failed()
    if when == "before the preview":
        unreadable(odd)
    made = drafted(odd, good)
    unreadable(odd)
    results = done(made)
    assert made.ended_at is not None
    assert results[good.id] == ("accepted", "")
    assert results[odd.id] == ("refused", "it went wrong: DataError; the log says more")


def test_a_database_that_is_away_refuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    saga = staging.failed()
    made = drafted(saga)
    services.confirm_bulk(made.pk, actor="user:ann", reason="why")

    def away(*args: Any, **kwargs: Any) -> Any:
        raise OperationalError

    monkeypatch.setattr(bulk, "perform", away)
    with pytest.raises(OperationalError):
        services.run_bulk(made.pk)
    assert made.items.get().result == ""


def test_a_worker_that_was_paused_in_a_preview_changes_no_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    saga = staging.failed()
    made = services.draft_bulk(Operation.RETRY, [saga.id], actor="user:ann")
    preview, first = services.preview, iter([True])

    def paused(*args: Any, **kwargs: Any) -> Any:
        if next(first, None):
            BulkOperation.objects.update(due_at=made.created_at)  # its lease ended
            services.run_bulk(made.pk)
            assert done(made) == {saga.id: ("accepted", "")}
        return preview(*args, **kwargs)  # which refuses now: the saga is on its way

    monkeypatch.setattr(bulk, "preview", paused)
    services.run_bulk(made.pk)
    item = made.items.get()
    assert (item.result, item.message) == ("accepted", "")


@pytest.mark.skipif(connection.vendor == "sqlite", reason="one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_two_workers_at_one_saga_at_once_do_it_once_and_keep_its_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    saga = staging.failed()
    made = drafted(saga)
    services.confirm_bulk(made.pk, actor="user:ann", reason="why")
    made.refresh_from_db()
    item, perform, second = made.items.get(), services.perform, Event()

    def slow(*args: Any, **kwargs: Any) -> Any:
        second.wait(1)
        return perform(*args, **kwargs)

    def works() -> None:
        try:
            bulk._do(item.pk, made)
        finally:
            second.set()
            connection.close()

    monkeypatch.setattr(bulk, "perform", slow)
    with ThreadPoolExecutor(2) as pool:
        for each in [pool.submit(works), pool.submit(works)]:
            each.result(20)
    assert SagaEvent.objects.filter(saga=saga.id, kind="retry_requested").count() == 1
    assert made.items.get().result == "accepted"


def test_who_was_put_out_meanwhile_does_nothing_more() -> None:
    saga = staging.failed()
    made = drafted(saga)
    services.confirm_bulk(made.pk, actor="user:ann", reason="why")
    before = staging.facts(saga)
    User.objects.update(is_active=False)
    services.run_bulk(made.pk)
    item = made.items.get()
    assert (item.result, item.message) == ("refused", "user:ann may no longer retry sagas")
    assert staging.facts(saga) == before
    assert services.due_bulks() == []


@pytest.mark.parametrize("confirmed", [True, False])
def test_it_can_be_stopped(confirmed: bool) -> None:
    saga = staging.failed()
    made = drafted(saga)
    if confirmed:
        services.confirm_bulk(made.pk, actor="user:ann", reason="why")
    before = staging.facts(saga)
    services.stop_bulk(made.pk, why="stopped by user:bob")
    services.run_bulk(made.pk)
    assert made.items.get().message == "stopped by user:bob"
    assert staging.facts(saga) == before
    with pytest.raises(services.NotConfirmable):
        services.confirm_bulk(made.pk, actor="user:ann", reason="why")


@override_settings(SAGA_TWO_PERSON=True)
def test_what_takes_two_persons_is_refused_in_the_preview() -> None:
    made = drafted(staging.completed(), staging.failed(), operation=Operation.COMPENSATE)
    found = {item.message: item.result for item in made.items.all()}
    assert found == {"compensating a completed saga takes two persons": "refused", "": ""}
