"""Every page of the console in every language: nothing on it stays English."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.test import Client, override_settings
from django.urls import reverse

from executors.breaker import Culprit, held_by
from executors.participants import participants
from executors.registry import registry
from sagas import services
from sagas.admin import parts
from sagas.domain.outcome import Outcome, Verdict
from sagas.domain.state import Operation
from sagas.domain.triggers import Compensate
from sagas.models import BulkOperation, Proposal, Saga, SagaEvent, SagaStep
from sagas.roles import ROLES
from tests.admin import staging
from tests.admin.staging import page_of
from tests.translations.catalog import LANGUAGES, forms, kept
from tests.translations.shown import texts

pytestmark = pytest.mark.django_db

_WORD = re.compile(r"[^\W\d_]{3,}")
_NAMES = {
    "utc",
    "english",
    "français",
    "root",
    "esc",
    "http",
    "curl",
    "json",
    "permissions",
    "session",
    "sessions",
}
HELD = Outcome(verdict=Verdict.NOT_SENT, error=held_by("payment"), retry_after=timedelta(hours=1))
LISTS = (
    "", "?q=nothing+like+this", "?status__exact=in_progress", "?is=failed", "?ended=24h",
    "?created=2026-01", "?created=2026-01-31", "?is=retrying",
)  # fmt: skip

STATES = (
    staging.pending, staging.due, staging.completed, staging.compensated, staging.failed,
    staging.in_doubt, staging.compensating, staging.held, staging.driven_now, staging.parked,
)  # fmt: skip


@pytest.fixture
def open_breaker() -> Iterator[None]:
    """Payment's breaker is open."""
    breaker = participants().get("payment").breaker
    by = Culprit(saga_id="none", saga_type="t", step="s", error="no money", worker="worker-7")
    for _ in range(int(settings.SAGA_BREAKER["threshold"])):
        breaker.failed(breaker.enter(), by)
    yield
    breaker.reset()


@pytest.fixture
def root(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root"))
    return client


Page = tuple[str, dict[str, str] | None]
"""An address, and the form that is sent to it, if one is."""


def pages() -> Iterator[Page]:
    """The console's own pages, with a saga in each state."""
    made = {state.__name__: state() for state in STATES}
    made["driven"] = staging.purchase({"reserve_inventory": [HELD]})
    for query in ("", "?window=24h", "?window=7d"):
        yield reverse("admin:index") + query, None
    yield reverse("breaker-reset", args=["payment"]), None
    for query in LISTS:
        yield reverse("admin:sagas_saga_changelist") + query, None
    for saga in made.values():
        yield page_of(saga), None
        yield page_of(saga) + "?all=1&before=9", None
    yield from operations(made)
    yield from bulk_operations(made)
    yield from approvals(made)
    yield from users()


def operations(made: Mapping[str, Saga]) -> Iterator[Page]:
    """Each operation with a preview, without one, and where it is not possible."""
    yield page_of(made["pending"], "execute"), None
    for state in ("pending", "completed", "failed", "in_doubt", "driven_now", "compensated"):
        yield page_of(made[state], "compensate"), None
    for state in ("compensated", "failed", "parked"):
        yield page_of(made[state], "retry"), None
    told = {"step": "process_payment", "applied": "yes", "evidence": "e", "output": "{}"}
    edited = {"edited": json.dumps(staging.DATA)}
    for state, operation, body in (
        ("in_doubt", "resolve", told | {"output": '{"payment_id": "p-7"}'}),
        ("in_doubt", "resolve", told | {"output": '{"payment_id": []}'}),
        ("in_doubt", "resolve", told | {"output": "[1]", "evidence": ""}),
        ("failed", "skip", {"retry": "on"}),
        ("failed", "edit_data", edited),
    ):
        yield page_of(made[state], operation), None
        yield page_of(made[state], operation), body | {"preview": "1"}
    yield page_of(made["failed"], "compensate"), {"fingerprint": "x"}


def bulk_operations(made: Mapping[str, Saga]) -> Iterator[Page]:
    """One that is only asked for, one that was previewed, and one that was done."""
    drafts = [
        services.draft_bulk(Operation.RETRY, [saga.pk for saga in made.values()], actor="user:root")
        for _ in range(3)
    ]
    for bulk in drafts[1:]:
        services.run_bulk(bulk.pk)
    # What is done changes the sagas: last, so that the pages of all of them come before.
    yield reverse("admin:sagas_bulk", args=[drafts[0].pk]), None
    yield reverse("admin:sagas_bulk", args=[drafts[1].pk]), None
    made["compensated"].steps.filter(position=1).update(error="it moved on")
    services.confirm_bulk(drafts[2].pk, actor="user:root", reason="r")
    services.run_bulk(drafts[2].pk)
    yield reverse("admin:sagas_bulk", args=[drafts[2].pk]), None
    yield reverse("admin:sagas_bulk_index"), None


def approvals(made: Mapping[str, Saga]) -> Iterator[Page]:
    """A proposal of one's own, another's, and those that were decided."""
    yield reverse("admin:sagas_approval_index"), None
    sagas = [made["completed"], *(staging.completed() for _ in range(3))]
    with override_settings(SAGA_TWO_PERSON=True):
        yield page_of(sagas[0], "compensate"), None
        proposals = [
            services.propose(saga.pk, actor=actor, reason="r", fingerprint=fingerprint(saga))
            for saga, actor in zip(sagas, ("user:root", *["user:ann"] * 3), strict=True)
        ]
        services.reject(proposals[2].pk, actor="user:ann", comment="c")
        services.reject(proposals[3].pk, actor="user:bob", comment="c")
        sagas[1].steps.filter(name="process_payment").update(output={"payment_id": "p-9"})
        for proposal in proposals:
            yield reverse("admin:sagas_approval", args=[proposal.pk]), None
        yield reverse("admin:sagas_approval_index"), None


def fingerprint(saga: Saga) -> str:
    return services.preview(saga.pk, Compensate()).fingerprint


def users() -> Iterator[Page]:
    """The pages of users and groups."""
    user, group = User.objects.get(), Group.objects.order_by("pk")[0]
    for model, pk in (("user", user.pk), ("group", group.pk)):
        for view in ("changelist", "add"):
            yield reverse(f"admin:auth_{model}_{view}"), None
        for view in ("change", "history"):
            yield reverse(f"admin:auth_{model}_{view}", args=[pk]), None
    yield reverse("admin:auth_user_delete", args=[user.pk]), None
    yield reverse("admin:auth_user_password_change", args=[user.pk]), None
    yield reverse("admin:password_change"), None


def shown(client: Client, page: Page, language: str) -> set[str]:
    parts.forget()
    address, body = page
    ask = client.get if body is None else client.post
    answer = ask(address, body or {}, follow=True, headers={"Accept-Language": language})
    assert answer.status_code in (200, 409), address
    assert answer["Content-Language"] == language
    return texts(answer.content.decode())


def data() -> list[str]:
    """What is stored, and never translated: the longest first."""
    found = {*registry.types(), *settings.SAGA_PARTICIPANTS, *ROLES}
    for saga in Saga.objects.all():
        found |= {
            saga.type,
            saga.reason,
            saga.waiting,
            saga.owner,
            str(saga.pk),
            *_leaves(saga.data),
        }
    for step in SagaStep.objects.all():
        found |= {step.name, step.compensation, step.error}
    for bulk in BulkOperation.objects.all():
        found |= {bulk.actor, bulk.reason}
    for proposal in Proposal.objects.all():
        found |= {proposal.proposed_by, proposal.decided_by, proposal.reason, proposal.comment}
    for event in SagaEvent.objects.all():
        found |= {event.actor, event.reason, *_leaves(event.data)}
    return sorted((text for text in found if len(text) > 2), key=len, reverse=True)


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    elif isinstance(value, str):
        yield value


def same_words(language: str) -> set[str]:
    """Words of texts that are the same in that language."""
    same = [text for text, said in _translations(language) if said == text]
    return {word.lower() for text in same for word in _WORD.findall(text)} | _NAMES


def _translations(language: str) -> Iterator[tuple[str, str]]:
    for message in kept(language):
        if message.id:
            yield forms(message)[0]


@pytest.mark.usefixtures("open_breaker")
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_stays_english(root: Client, language: str) -> None:
    """Neither a text of the catalog, nor one that is not marked for translation."""
    same, foreign = same_words(language), dict[str, str]()
    untranslated = {text for text, said in _translations(language) if said != text}
    for page in pages():
        here = shown(root, page, language)
        kept_as_is = here & shown(root, page, "en")
        stored = data()
        for text in (here & untranslated) | kept_as_is:
            rest = text
            for value in stored:
                rest = re.sub(re.escape(value), " ", rest, flags=re.IGNORECASE)
            if {word.lower() for word in _WORD.findall(rest)} - same:
                foreign.setdefault(text, page[0])
    assert not foreign, "\n".join(
        f"{text!r} on {address}" for text, address in sorted(foreign.items())
    )


def test_a_page_is_read_as_people_read_it() -> None:
    html = """<p title="one">two <b>three</b></p><span class="material-symbols-outlined">four</span>
    <pre>five <b>six</b></pre><input type="submit" value="seven"><input value="eight">nine"""
    assert texts(html) == {"one", "two", "three", "seven", "nine"}
