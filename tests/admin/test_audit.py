"""Who did what, across all sagas."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.test import Client, override_settings
from django.utils import timezone

from sagas import services
from sagas.admin import acts as on_record
from sagas.domain import triggers as tr
from sagas.domain.state import Operation
from sagas.models import BulkItem, Saga, SagaEvent
from tests.admin import staging

pytestmark = pytest.mark.django_db

AUDIT = "/admin/sagas/saga/audit/"


def acts(client: Client, address: str = AUDIT) -> list[list[str]]:
    """The rows without their times: who, what, to what, why."""
    response = client.get(address)
    assert response.status_code == 200
    body = response.content.decode().partition("<tbody>")[2].partition("</tbody>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    return [
        [
            " ".join(unescape(re.sub(r"<[^>]+>", " ", cell)).split())
            for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)[1:]
        ]
        for row in rows
    ]


def linked(client: Client, text: str, address: str = AUDIT) -> str | None:
    page = client.get(address).content.decode()
    link = re.search(rf'<a href="([^"]*)">{text}</a>', page)
    return AUDIT + unescape(link[1]) if link else None


def tail(saga: Saga) -> str:
    return f"purchase_saga …{str(saga.pk)[-12:]}"


def execute(saga: Saga, actor: str, reason: str = "") -> None:
    services.perform(saga.pk, tr.Execute(), actor=actor, reason=reason)


def bulk(number: int, actor: str = "user:ann") -> list[Saga]:
    """Sagas that one bulk operation executed."""
    name = actor.removeprefix("user:")
    User.objects.get_or_create(username=name, defaults={"is_superuser": True})
    sagas = [staging.pending() for _ in range(number)]
    drafted = services.draft_bulk(Operation.EXECUTE, [saga.pk for saga in sagas], actor=actor)
    services.run_bulk(drafted.pk)
    services.confirm_bulk(drafted.pk, actor=actor, reason="all of them")
    services.run_bulk(drafted.pk)
    assert BulkItem.objects.filter(result="accepted").count() == number
    return sagas


def test_what_people_asked_of_sagas_comes_latest_first(viewer: Client) -> None:
    completed, failed, other = staging.completed(), staging.failed(), staging.pending()
    execute(other, "shell:otto", "by hand")
    services.perform(failed.pk, tr.Retry(), actor="user:ann", reason="the bank is back")
    services.perform(completed.pk, tr.Compensate(), actor="user:bob", reason="a recall")
    assert acts(viewer) == [
        ["user:bob", "undo compensate asked for", tail(completed), "a recall"],
        ["user:ann", "replay retry asked for", tail(failed), "the bank is back"],
        ["shell:otto", "play_arrow execute asked for", tail(other), "by hand"],
    ], "neither what workers and clients did, nor what follows from an asking"
    page = viewer.get(AUDIT).content.decode()
    assert f'href="{staging.page_of(failed)}"' in page


def test_one_person_is_asked_for(viewer: Client) -> None:
    mine, others, shells = staging.pending(), staging.pending(), staging.pending()
    execute(mine, "user:ann")
    execute(others, "user:anna")
    execute(shells, "shell:ann")
    for who in ("ann", "user:ann", " ann "):
        assert [row[2] for row in acts(viewer, f"{AUDIT}?who={who}")] == [tail(mine)]
    assert [row[2] for row in acts(viewer, f"{AUDIT}?who=shell:ann")] == [tail(shells)]
    assert acts(viewer, f"{AUDIT}?who=nobody") == []
    assert linked(viewer, "user:anna") == f"{AUDIT}?who=user%3Aanna"


def test_a_bulk_operation_is_one_line_and_none_can_be_feigned(viewer: Client) -> None:
    bulk(3)
    (reason,) = SagaEvent.objects.filter(actor="user:ann").values_list("reason", flat=True)[:1]
    feigned, made_up = staging.pending(), staging.pending()
    execute(feigned, "user:bob", reason)
    execute(made_up, "user:bob", f"x (bulk {'0' * 36})")
    found = acts(viewer)
    ours = [row for row in found if row[0] == "user:ann"]
    assert ours == [
        ["user:ann", "play_arrow execute asked for", "3 sagas of a bulk operation", "all of them"],
        ["user:ann", "checklist bulk operation confirmed", "Execute", "all of them"],
    ]
    assert [row[2] for row in found if row[0] == "user:bob"] == [tail(made_up), tail(feigned)]
    assert acts(viewer, f"{AUDIT}?kind=bulk") == ours[1:]


def test_a_bulk_operation_that_was_only_previewed_is_no_act(viewer: Client) -> None:
    drafted = services.draft_bulk(Operation.EXECUTE, [staging.pending().pk], actor="user:ann")
    services.run_bulk(drafted.pk)
    assert acts(viewer) == []


@pytest.fixture
def _two_persons() -> Iterator[None]:
    with override_settings(SAGA_TWO_PERSON=True):
        yield


@pytest.mark.usefixtures("_two_persons")
def test_who_proposed_and_who_decided(viewer: Client) -> None:
    def propose(saga: Saga) -> int:
        seen = services.preview(saga.pk, tr.Compensate()).fingerprint
        made = services.propose(saga.pk, actor="user:ann", reason="a recall", fingerprint=seen)
        return int(made.pk)

    first, second = staging.completed(), staging.completed()
    services.reject(propose(first), actor="user:bob", comment="not these")
    services.approve(propose(second), actor="user:bob", comment="seen")
    what = f"Compensate: {tail(second)}"
    # Unordered: a clock of whole milliseconds has some of them at once.
    assert sorted(acts(viewer, f"{AUDIT}?kind=approvals")) == sorted(
        [
            ["user:ann", "front_hand proposed", f"Compensate: {tail(first)}", "a recall"],
            ["user:ann", "front_hand proposed", what, "a recall"],
            ["user:bob", "block rejected", f"Compensate: {tail(first)}", "not these"],
            ["user:bob", "check_circle approved", what, "seen"],
        ]
    )
    assert {row[0] for row in acts(viewer, f"{AUDIT}?who=ann")} == {"user:ann"}
    assert "compensate asked for" in str(acts(viewer, f"{AUDIT}?who=bob"))


def log(username: str, model: Any, what: str, message: str) -> None:
    LogEntry.objects.create(
        user=User.objects.get(username=username),
        content_type=ContentType.objects.get_for_model(model),
        object_repr=what,
        action_flag=CHANGE,
        change_message=message,
    )


def test_resets_are_for_all_to_see_and_changes_of_users_for_some(
    viewer: Client, root: Client
) -> None:
    log("root", Saga, "circuit breaker of payment", "reset, it was open: the bank is back")
    log("root", User, "viewer", '[{"changed": {"fields": ["Groups"]}}]')
    reset = [
        "user:root",
        "electric_bolt circuit breaker",
        "circuit breaker of payment",
        "reset, it was open: the bank is back",
    ]
    assert acts(viewer) == [reset]
    changed, same = acts(root)
    assert same == reset
    assert changed[2:] == ["viewer", "Changed Groups."]
    assert acts(root, f"{AUDIT}?kind=console&who=root") == [changed, same]
    for nobody in ("ann", "shell:root"):
        assert acts(root, f"{AUDIT}?who={nobody}") == []


def test_pages_neither_repeat_nor_lose_anything(
    viewer: Client, root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_record, "PAGE", 2)
    for number in range(9):
        execute(staging.pending(), "user:ann", f"number {number}")
        if number % 2:
            log("root", Saga, "circuit breaker of payment", f"entry {number}")
    bulk(7)
    for moment in range(2):  # two that happened at the same time
        pair = SagaEvent.objects.filter(
            reason__in=[f"number {3 * moment}", f"number {3 * moment + 1}"]
        )
        pair.update(at=timezone.now() - timedelta(hours=1 + moment))
    seen, pages, address = [], 0, AUDIT
    while address:
        found = acts(viewer, address)
        assert found, "no page is empty"
        seen += found
        pages += 1
        address = linked(viewer, "Earlier", address) or ""
    assert pages > 2
    told = [row[3] for row in seen]
    assert sorted(r for r in told if r.startswith("number")) == [f"number {n}" for n in range(9)]
    assert sorted(r for r in told if r.startswith("entry")) == [f"entry {n}" for n in (1, 3, 5, 7)]
    parts = [row[2] for row in seen if "of a bulk operation" in row[2]]
    assert sum(int(part.split()[0]) for part in parts) == 7


def test_reasons_do_not_run_and_bad_questions_are_left_out(viewer: Client) -> None:
    evil = "<script>alert(1)</script>"
    execute(staging.pending(), "user:ann", evil)
    page = viewer.get(AUDIT).content.decode()
    assert evil not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    for query in (
        {"before": "yesterday"},
        {"before": "2026-13-45T00:00:00Z"},
        {"before": "0001-01-01T00:00:00Z"},
        {"before": "2026-01-01T00:00:00"},
        {"who": evil},
        {"who": "x" * 500},
        {"kind": "nothing"},
        {"before": "9" * 400},
    ):
        response = viewer.get(AUDIT, query)
        assert response.status_code == 200
        assert evil not in response.content.decode()
    assert viewer.get(AUDIT, {"who": "a\0b"}).status_code == 400
    assert viewer.post(AUDIT).status_code == 405


def test_it_is_for_those_who_see_sagas(login: Any) -> None:
    assert login("nobody").get(AUDIT).status_code == 403
    assert Client().get(AUDIT).status_code == 302
