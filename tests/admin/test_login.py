"""Logging in: the same words for all that is wrong, and an end to guessing."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings as configured
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client, override_settings

from sagas import limits
from sagas.admin import guesses

pytestmark = pytest.mark.django_db

PASSWORD = "a-good-password"
LOGIN = "/admin/login/"
NOW = 1_000_000 * guesses.WINDOW + 60.0


@pytest.fixture(autouse=True)
def people(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """Ann may log in, Bob is none of the staff; all in one window of time."""
    cache.clear()
    monkeypatch.setattr(guesses, "MOST_FOR_A_NAME", 3)
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # in no time
    monkeypatch.setattr(limits, "time", lambda: NOW)
    User.objects.create_user("ann", password=PASSWORD, is_staff=True)
    User.objects.create_user("bob", password=PASSWORD)


def attempt(name: str, password: str = "wrong", **more: Any) -> Any:
    return Client().post(LOGIN, {"username": name, "password": password}, **more)


def errors(answer: Any) -> list[str]:
    return list(answer.context["form"].non_field_errors())


def test_the_same_words_whatever_is_wrong() -> None:
    answers = [attempt("ann"), attempt("nobody"), attempt("bob", PASSWORD)]
    assert {answer.status_code for answer in answers} == {200}
    [[words], *others] = [errors(answer) for answer in answers]
    assert others == [[words], [words]]


def test_guessing_at_a_name_has_an_end() -> None:
    for _ in range(guesses.MOST_FOR_A_NAME):
        assert attempt("ann").status_code == 200
    for name, password in (("ann", "wrong"), ("ann", PASSWORD)):
        answer = attempt(name, password)
        assert answer.status_code == 429
        assert errors(answer) == ["Too many attempts to log in. Try again in 14 minutes."]
        assert answer.headers["Retry-After"] == "840"
    french = attempt("ann", headers={"Accept-Language": "fr"})
    assert errors(french) == ["Trop de tentatives de connexion. Réessayez dans 14 minutes."]
    assert attempt("nobody").status_code == 200, "others may go on"


def test_it_begins_anew_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(guesses.MOST_FOR_A_NAME + 1):
        attempt("ann")
    later = NOW + guesses.WINDOW
    monkeypatch.setattr(limits, "time", lambda: later)
    assert attempt("ann", PASSWORD).status_code == 302


def test_a_right_password_ends_the_count() -> None:
    for _ in range(2):
        for _ in range(guesses.MOST_FOR_A_NAME - 1):
            assert attempt("ann").status_code == 200
        assert attempt("ann", PASSWORD).status_code == 302


def test_guessing_from_an_address_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guesses, "MOST_FROM_AN_ADDRESS", 5)
    for number in range(6):
        attempt("ann", PASSWORD, REMOTE_ADDR="2001:db8::1")  # what is right does not count
        answer = attempt(f"user{number}", REMOTE_ADDR=f"2001:db8::{number:x}")  # of one /64
    assert answer.status_code == 429
    assert attempt("user7", REMOTE_ADDR="2001:db8:0:1::1").status_code == 200


@pytest.mark.skipif(not configured.SAGA_SHARED_STATE, reason="the cache is this process's own")
def test_without_the_cache_nobody_is_kept_out() -> None:
    nowhere = {"default": configured.CACHES["default"] | {"LOCATION": "redis://127.0.0.1:1/0"}}
    with override_settings(CACHES=nowhere):
        for _ in range(guesses.MOST_FOR_A_NAME + 1):
            assert attempt("ann").status_code == 200


def test_a_session_is_no_script_s_and_ends() -> None:
    cookie = attempt("ann", PASSWORD).cookies["sessionid"]
    assert (cookie["httponly"], cookie["samesite"], cookie["max-age"]) == (True, "Lax", 43200)
