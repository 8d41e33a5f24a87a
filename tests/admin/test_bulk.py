"""Bulk operations in the console: from the list to the preview, the confirmation, the results."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from django.urls import reverse

from sagas import services
from sagas.models import BulkItem, BulkOperation, Saga, SagaEvent
from tests.admin import staging

pytestmark = pytest.mark.django_db

LIST = "/admin/sagas/saga/"


def ask(client: Client, action: str, *sagas: Saga, **more: str) -> Any:
    chosen = {"action": action, "_selected_action": [str(saga.pk) for saga in sagas]}
    return client.post(LIST, chosen | more, follow=True)


def page_of(bulk_id: UUID) -> str:
    return reverse("admin:sagas_bulk", args=[bulk_id])


def headline(client: Client, bulk: BulkOperation) -> str:
    services.run_bulk(bulk.pk)
    return str(client.get(page_of(bulk.pk)).context["look"].text)


def test_from_the_list_to_the_results(login: Any) -> None:
    ann = login("ann", "view_saga", "retry")
    failed, worse, done = staging.failed(), staging.failed(), staging.completed()
    answer = ask(ann, "preview_retry", failed, worse, done)
    bulk = BulkOperation.objects.get()
    assert answer.redirect_chain == [(page_of(bulk.pk), 302)]
    assert "Previewing: 0 of 3" in answer.content.decode()
    assert 'name="reason"' not in answer.content.decode()

    assert headline(ann, bulk) == "Previewed; it waits to be confirmed"
    text = ann.get(page_of(bulk.pk)).content.decode()
    assert "refund_payment → release_inventory → compensated" in text
    assert "a saga that is completed cannot retry" in text
    assert f'href="/admin/sagas/saga/{failed.pk}/retry/"' in text
    assert not SagaEvent.objects.filter(kind="retry_requested").exists()

    ann.post(page_of(bulk.pk), {"reason": "the bank is back"})
    assert headline(ann, bulk) == "Not all went well: 1 refused, 2 still on their way"
    staging.drive(failed)
    staging.drive(worse, {"refund_payment": [staging.NO]})
    assert headline(ann, bulk) == "Not all went well: 1 refused, 1 failed"
    text = ann.get(page_of(bulk.pk)).content.decode()
    assert "the bank is back" in text
    event = SagaEvent.objects.get(saga=failed.pk, kind="retry_requested")
    assert event.actor == "user:ann"


def test_it_is_done_only_when_all_sagas_came_to_a_good_end(root: Client) -> None:
    saga = staging.failed()
    ask(root, "preview_retry", saga)
    bulk = BulkOperation.objects.get()
    headline(root, bulk)
    root.post(page_of(bulk.pk), {"reason": "r"})
    assert headline(root, bulk) == "Accepted: 1 still on their way"
    staging.drive(saga)
    assert headline(root, bulk) == "Done: all 1"


def test_each_action_takes_its_permission(login: Any, viewer: Client) -> None:
    saga = staging.failed()
    ann = login("ann", "view_saga", "execute")
    for client in (viewer, ann):
        ask(client, "preview_retry", saga)
    assert not BulkOperation.objects.exists()
    ask(ann, "preview_execute", saga)
    bulk = BulkOperation.objects.get()
    services.run_bulk(bulk.pk)
    assert viewer.get(page_of(bulk.pk)).status_code == 200
    assert viewer.post(page_of(bulk.pk), {"reason": "r"}).status_code == 403


def test_only_who_asked_for_it_confirms_it(root: Client, login: Any) -> None:
    saga = staging.failed()
    before = staging.facts(saga)
    ask(login("ann", "view_saga", "retry"), "preview_retry", saga)
    bulk = BulkOperation.objects.get()
    services.run_bulk(bulk.pk)
    assert 'name="reason"' not in root.get(page_of(bulk.pk)).content.decode()
    root.post(page_of(bulk.pk), {"reason": "r"})
    services.run_bulk(bulk.pk)
    assert staging.facts(saga) == before


def test_a_reason_is_required(root: Client) -> None:
    ask(root, "preview_retry", staging.failed())
    bulk = BulkOperation.objects.get()
    services.run_bulk(bulk.pk)
    for reason in ("", "  ", "x" * 901):
        root.post(page_of(bulk.pk), {"reason": reason})
    bulk.refresh_from_db()
    assert bulk.confirmed_at is None


def test_all_that_match_the_filter(root: Client) -> None:
    sagas = [staging.failed(), staging.failed(), staging.completed()]
    ask(root, "preview_retry", sagas[0], select_across="1")
    assert BulkItem.objects.count() == 3


def test_following_it_live(root: Client) -> None:
    ask(root, "preview_retry", staging.failed())
    bulk = BulkOperation.objects.get()
    answer = root.get(page_of(bulk.pk), headers={"X-Live": "1"})
    assert "<html" not in answer.content.decode()
    assert "X-Live-Stop" not in answer
    assert "Previewing: 0 of 1" in answer.content.decode()


def test_pages_of_nothing_and_of_bad_addresses(root: Client, client: Client) -> None:
    assert root.get("/admin/sagas/saga/bulk/").status_code == 200
    assert root.get(page_of(UUID(int=1))).status_code == 404
    ask(root, "preview_retry", staging.failed())
    bulk = BulkOperation.objects.get()
    for query in ("page=x", "page=-1", "page=99999999999", "result=waits"):
        assert root.get(f"{page_of(bulk.pk)}?{query}").status_code == 200
    assert client.get(page_of(bulk.pk))["Location"].startswith("/admin/login/")
    assert root.get("/admin/sagas/saga/bulk/").status_code == 200


def test_nothing_of_a_reason_or_a_message_runs_in_the_page(root: Client) -> None:
    ask(root, "preview_retry", staging.failed())
    evil = "<script>alert(1)</script>"
    BulkItem.objects.update(result="refused", message=evil, plan=evil)
    BulkOperation.objects.update(reason=evil, actor=evil)
    for path in (page_of(BulkOperation.objects.get().pk), "/admin/sagas/saga/bulk/"):
        text = root.get(path).content.decode()
        assert "alert(1)" in text
        assert evil not in text


def test_sagas_that_turned_round_are_not_what_was_wanted(root: Client) -> None:
    good, bad = staging.pending(), staging.pending()
    ask(root, "preview_execute", good, bad)
    bulk = BulkOperation.objects.get()
    headline(root, bulk)
    root.post(page_of(bulk.pk), {"reason": "r"})
    headline(root, bulk)
    staging.drive(good)
    staging.drive(bad, {"process_payment": [staging.NO]})
    assert headline(root, bulk) == "Not all went well: 1 ended otherwise than previewed"


def test_it_is_stopped_by_who_may(login: Any, viewer: Client) -> None:
    ann, bob = login("ann", "view_saga", "retry"), login("bob", "view_saga", "retry")
    saga = staging.failed()
    ask(ann, "preview_retry", saga)
    bulk = BulkOperation.objects.get()
    services.run_bulk(bulk.pk)
    assert 'name="stop"' not in viewer.get(page_of(bulk.pk)).content.decode()
    assert viewer.post(page_of(bulk.pk), {"stop": "1"}).status_code == 403
    bob.post(page_of(bulk.pk), {"stop": "1"})
    text = ann.get(page_of(bulk.pk)).content.decode()
    assert "stopped by user:bob" in text
    assert 'name="reason"' not in text
    assert headline(ann, bulk) == "Not all went well: 1 refused"


def test_sagas_that_are_gone_are_not_waited_for(root: Client) -> None:
    saga = staging.failed()
    ask(root, "preview_retry", saga)
    bulk = BulkOperation.objects.get()
    headline(root, bulk)
    root.post(page_of(bulk.pk), {"reason": "r"})
    headline(root, bulk)
    staging.drive(saga)
    Saga.objects.filter(pk=saga.pk).delete()
    assert root.get(page_of(bulk.pk), headers={"X-Live": "1"})["X-Live-Stop"] == "1"
