"""Every page of the console in every language: nothing on it stays English."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext

from executors.registry import registry
from sagas.models import Saga, SagaEvent, SagaStep
from tests.admin import staging
from tests.admin.staging import page_of
from tests.translations.catalog import LANGUAGES, kept
from tests.translations.shown import texts

pytestmark = pytest.mark.django_db

_WORD = re.compile(r"[^\W\d_]{3,}")
_NAMES = {"utc", "english", "français", "root", "esc"}

STATES = (
    staging.pending, staging.due, staging.completed, staging.compensated, staging.failed,
    staging.in_doubt, staging.compensating, staging.held, staging.driven_now, staging.parked,
)  # fmt: skip


@pytest.fixture
def root(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root"))
    return client


def addresses() -> Iterator[str]:
    """Of the console's own pages, with a saga in each state."""
    made = {state.__name__: state() for state in STATES}
    yield reverse("admin:index")
    yield reverse("admin:sagas_saga_changelist")
    yield reverse("admin:sagas_saga_changelist") + "?q=nothing+like+this"
    for saga in made.values():
        yield page_of(saga)
    yield page_of(made["pending"], "execute")
    for state in ("pending", "completed", "failed", "in_doubt"):
        yield page_of(made[state], "compensate")
    for state in ("compensated", "failed"):
        yield page_of(made[state], "retry")


def shown(client: Client, address: str, language: str) -> set[str]:
    answer = client.get(address, HTTP_ACCEPT_LANGUAGE=language)
    assert answer.status_code == 200, address
    assert answer["Content-Language"] == language
    return texts(answer.content.decode())


def data() -> list[str]:
    """What is stored, and never translated: the longest first."""
    found = set(registry.types())
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
    same = [text for text in _originals(language) if _translated(text, language) == text]
    return {word.lower() for text in same for word in _WORD.findall(text)} | _NAMES


def _originals(language: str) -> list[str]:
    ids = (message.id for message in kept(language) if message.id)
    return [id if isinstance(id, str) else id[0] for id in ids]


def _translated(text: str, language: str) -> str:
    with translation.override(language):
        return gettext(text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_stays_english(root: Client, language: str) -> None:
    """Neither a text of the catalog, nor one that is not marked for translation."""
    same, foreign = same_words(language), set()
    untranslated = {t for t in _originals(language) if _translated(t, language) != t}
    for address in addresses():
        here = shown(root, address, language)
        kept_as_is = here & shown(root, address, "en")
        stored = data()
        for text in (here & untranslated) | kept_as_is:
            rest = text
            for value in stored:
                rest = re.sub(re.escape(value), " ", rest, flags=re.IGNORECASE)
            if {word.lower() for word in _WORD.findall(rest)} - same:
                foreign.add((address, text))
    assert not foreign, "\n".join(f"{text!r} on {address}" for address, text in sorted(foreign))


def test_a_page_is_read_as_people_read_it() -> None:
    html = """<p title="one">two <b>three</b></p><span class="material-symbols-outlined">four</span>
    <pre>five <b>six</b></pre><input type="submit" value="seven"><input value="eight">nine"""
    assert texts(html) == {"one", "two", "three", "seven", "nine"}
