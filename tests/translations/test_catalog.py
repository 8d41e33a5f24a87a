"""The translations that are kept: complete, exact, and what Django reads."""

import re

import pytest
from babel.messages import Catalog

from tests.translations.catalog import (
    LANGUAGES,
    as_mo,
    as_po,
    extracted,
    folder,
    forms,
    kept,
    merged,
    placeholders,
)  # fmt: skip

pytestmark = pytest.mark.parametrize("language", LANGUAGES)

_NO_TEXT = re.compile(r"<[^>]*>|%\(\w+\)[sd]")
_PLAIN = re.compile(r"'|\.\.\.|[ \w)»…][;:!?](?!\S)|\u00a0[;!?]|\u202f[:»]|[^\u00a0]»|«[^\u00a0]")


@pytest.fixture(scope="module")
def texts() -> Catalog:
    return extracted()


def test_all_texts_are_in_it_and_no_others(language: str, texts: Catalog) -> None:
    """Otherwise: ./run messages, and translate what it names."""
    assert (folder(language) / "django.po").read_bytes() == as_po(merged(language, texts))


def test_what_django_reads_is_compiled_from_it(language: str, texts: Catalog) -> None:
    assert (folder(language) / "django.mo").read_bytes() == as_mo(merged(language, texts))


def test_every_text_is_translated(language: str) -> None:
    catalog = kept(language)
    assert not catalog.obsolete
    assert not [message.id for message in catalog if message.fuzzy]
    missing = [m.id for m in catalog if m.id and not all(said for _, said in forms(m))]
    assert missing == []


def test_every_form_fills_in_the_same(language: str) -> None:
    for message in kept(language):
        for original, said in forms(message) if message.id else []:
            assert placeholders(said) == placeholders(original), said
            assert said.startswith(" ") == original.startswith(" "), said
            assert said[-1:].isspace() == original[-1:].isspace(), said


def test_it_is_set_as_the_language_is(language: str) -> None:
    """Curved apostrophes, one character for an ellipsis, no line broken before a colon."""
    for message in kept(language):
        for _, said in forms(message) if message.id else []:
            assert not _PLAIN.search(_NO_TEXT.sub("x", said)), said
