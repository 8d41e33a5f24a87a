"""Variables one by one: their types, their bounds, and what is said of wrong ones."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from sagaproject.config import Environment, api_open, call_timeout, environment, secret_key

LEVELS = ("debug", "info", "error")


def said(env: Environment) -> list[tuple[str, str]]:
    return [(problem.id.removeprefix("sagas."), problem.message) for problem in env.problems]


# --- Texts and numbers ------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "found"), [("x", "x"), (" x ", "x"), ("", "d"), (" ", "d")])
def test_an_empty_text_is_as_good_as_none(given, found):
    assert Environment({"A": given}).text("A", "d") == found
    assert Environment({}).text("A", "d") == "d"


def test_a_secret_is_kept_to_the_letter():
    assert Environment({"A": " a\tb "}).secret("A") == " a\tb "


def test_names_are_between_commas():
    assert Environment({"A": " a, b,,c ,"}).names("A", "d") == ["a", "b", "c"]
    assert Environment({}).names("A", "d") == ["d"]
    assert Environment({}).names("A") == []


@pytest.mark.parametrize("text", ["1", "65535", " 5432 ", "+1"])
def test_a_whole_number_within_bounds(text):
    env = Environment({"PORT": text})
    assert env.whole("PORT", 3000, least=1, most=65535) == int(text)
    assert env.problems == []


WRONG_WHOLE = [
    "0",
    "65536",
    "-1",
    "1.5",
    "1e3",
    "x",
    "0x10",
    "tcp://10.0.0.1:6379",
    "nan",
    "9" * 99,
]


@pytest.mark.parametrize("text", [*WRONG_WHOLE, "9" * 5000])
def test_a_wrong_whole_number_is_one_problem_and_the_default_stands_in(text):
    env = Environment({"PORT": text})
    assert env.whole("PORT", 3000, least=1, most=65535) == 3000
    [(number, message)] = said(env)
    assert number == "E001"
    assert message.startswith(f"PORT={text[:50]!r}"[:-1])
    assert message.endswith(" is not a whole number from 1 to 65535.")
    assert len(message) < 120


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "-1", "x", "1e10", "1,5"])
def test_a_wrong_number_is_one_problem(text):
    env = Environment({"A": text})
    assert env.number("A", 2.5) == 2.5
    assert said(env) == [("E001", f"A={text!r} is not a number from 0 to 1000000000.")]


def test_a_value_is_told_on_one_line():
    env = Environment({"A": "1\nsagas.E999 forged"})
    env.whole("A", 1)
    assert "\n" not in env.problems[0].message


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", True), ("TRUE", True), ("on", True), ("0", False), ("no", False), ("", True)],
)
def test_a_flag(text, value):
    env = Environment({"A": text})
    assert env.flag("A", True) is value
    assert env.problems == []


def test_a_wrong_flag_is_one_problem():
    env = Environment({"A": "maybe"})
    assert env.flag("A", False) is False
    assert said(env) == [("E001", "A='maybe' is neither true nor false.")]


def test_a_choice_in_any_case():
    assert Environment({"LOG_LEVEL": "INFO"}).choice("LOG_LEVEL", "error", LEVELS) == "info"


def test_a_wrong_choice_is_one_problem():
    env = Environment({"LOG_LEVEL": "loud"})
    assert env.choice("LOG_LEVEL", "info", LEVELS) == "info"
    assert said(env) == [("E001", "LOG_LEVEL='loud' is not one of debug, info, error.")]


# --- Where it runs ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, "development"),
        ({"NODE_ENV": "production"}, "production"),
        ({"NODE_ENV": "Production"}, "production"),
        ({"SAGA_ENV": "test"}, "test"),
        ({"NODE_ENV": "PRODUCTION", "SAGA_ENV": "production"}, "production"),
    ],
)
def test_the_environment(given, found):
    env = Environment(given)
    assert environment(env) == found
    assert env.problems == []


@pytest.mark.parametrize("nodes", ["development", "staging"])
def test_two_environments_that_differ_are_a_contradiction(nodes):
    env = Environment({"NODE_ENV": nodes, "SAGA_ENV": "production"})
    assert environment(env) == "production", "the stricter demands are made all the same"
    assert [number for number, _ in said(env)] == ["E013"]


@pytest.mark.parametrize("name", ["NODE_ENV", "SAGA_ENV"])
def test_an_unknown_environment_is_told_of_under_its_own_name(name):
    env = Environment({name: "prod"})
    assert environment(env) == "development"
    expected = f"{name}='prod' is not one of development, production, test."
    assert said(env) == [("E001", expected)]


@pytest.mark.parametrize("given", ["1", "5000", "6000"])
def test_a_call_that_fits_into_the_lease(given):
    env = Environment({"SAGA_CALL_TIMEOUT_MS": given})
    assert call_timeout(env, 7) == int(given) / 1000
    assert env.problems == []


@pytest.mark.parametrize(("given", "lease"), [({"SAGA_CALL_TIMEOUT_MS": "6001"}, 7), ({}, 5.5)])
def test_a_call_that_outlasts_the_lease_is_one_contradiction(given, lease):
    env = Environment(given)
    call_timeout(env, lease)
    [(number, message)] = said(env)
    assert number == "E011"
    assert "SAGA_CALL_TIMEOUT_MS" in message
    assert "SAGA_LEASE_MS" in message


# --- The secret key ---------------------------------------------------------------------------


def test_a_key_that_is_given_is_used_and_kept_nowhere(tmp_path):
    env = Environment({"DJANGO_SECRET_KEY": "given"})
    assert secret_key(env, tmp_path, production=True) == "given"
    assert list(tmp_path.iterdir()) == []


def test_production_needs_a_key(tmp_path):
    env = Environment({})
    assert secret_key(env, tmp_path, production=True)
    assert said(env) == [("E008", "DJANGO_SECRET_KEY is not set.")]
    assert list(tmp_path.iterdir()) == []


def test_elsewhere_a_key_is_made_once_that_only_its_owner_can_read(tmp_path):
    state = tmp_path / "new" / "state"
    first = secret_key(Environment({}), state, production=False)
    assert len(first) >= 50
    assert secret_key(Environment({}), state, production=False) == first
    [path] = state.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_of_many_who_start_at_once_one_makes_the_key(tmp_path: Path):
    gate = Barrier(16)

    def start(_: Any) -> str:
        gate.wait()
        return secret_key(Environment({}), tmp_path, production=False)

    for attempt in range(5):
        (tmp_path / "secret-key").unlink(missing_ok=True)
        with ThreadPoolExecutor(16) as pool:
            assert len(set(pool.map(start, range(16)))) == 1, attempt
    assert [path.name for path in tmp_path.iterdir()] == ["secret-key"]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00"])
def test_a_file_that_holds_no_key_does_not_stop_the_start(tmp_path, content):
    (tmp_path / "secret-key").write_bytes(content)
    assert len(secret_key(Environment({}), tmp_path, production=False)) >= 50


def test_a_folder_that_cannot_be_written_does_not_stop_the_start(tmp_path):
    (tmp_path / "file").write_text("")
    env = Environment({})
    assert len(secret_key(env, tmp_path / "file" / "state", production=False)) >= 50
    assert env.problems == []


@pytest.mark.parametrize(
    ("given", "production", "opened", "ids"),
    [
        ("", False, False, []),
        ("", True, False, []),
        ("on", False, True, []),
        ("off", True, False, []),
        ("on", True, True, ["E016"]),
        ("yes", False, False, ["E001"]),
    ],
)
def test_the_api_is_closed_by_default_and_in_production(given, production, opened, ids):
    env = Environment({"SAGA_API_OPEN": given})
    assert api_open(env, production=production) is opened
    assert [number for number, _ in said(env)] == ids
