"""Every page of the console in every language: nothing on it stays English."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from executors.breaker import Culprit
from executors.participants import participants
from executors.registry import registry
from sagas.admin import parts
from sagas.models import ApiKey, BulkOperation, Proposal, Saga, SagaEvent, SagaStep
from sagas.roles import ROLES
from tests.translations.catalog import LANGUAGES, forms, kept
from tests.translations.pages import Page, pages
from tests.translations.shown import texts

pytestmark = pytest.mark.django_db

_WORD = re.compile(r"[^\W\d_]{3,}")
_NAMES = {
    "utc", "english", "français", "root", "esc", "http", "curl", "json", "permissions", "session",
    "sessions",
}  # fmt: skip


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
    for key in ApiKey.objects.all():
        found |= {key.name, key.prefix, key.created_by}
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
