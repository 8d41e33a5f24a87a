"""Where the database is."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from sagaproject import addresses
from sagaproject.config import Environment

STATE = Path("/state")
DB = {
    "DB_HOST": "saga-orchestrator-db",
    "DB_PORT": "5433",
    "DB_USERNAME": "saga_user",
    "DB_PASSWORD": "saga_pass",
    "DB_DATABASE": "saga_db",
}
PASSWORDS = ["p@ss", "a:b", "a/b?c#d", "100%", "%2F", " blank ", "é漢", "'\"\\", "&=+;", "[x]"]


def database(given: dict[str, str]) -> tuple[dict[str, Any], list[str]]:
    env = Environment(given)
    found = addresses.database(env, STATE)
    return found, [problem.id.removeprefix("sagas.") for problem in env.problems]


def parts(found: dict[str, Any]) -> tuple[str, ...]:
    return tuple(found[key] for key in ("HOST", "PORT", "USER", "PASSWORD", "NAME"))


def test_without_any_variable_it_is_a_file():
    found, problems = database({})
    assert problems == []
    assert (found["ENGINE"], found["NAME"]) == (
        "django.db.backends.sqlite3",
        "/state/sagas.sqlite3",
    )


def test_the_seed_s_variables():
    found, problems = database(DB)
    assert problems == []
    assert found["ENGINE"] == "sagaproject.postgresql"
    assert parts(found) == ("saga-orchestrator-db", "5433", "saga_user", "saga_pass", "saga_db")
    assert parts(database(DB | {"DB_PORT": ""})[0])[1] == "5432"
    assert parts(database(DB | {"DB_PASSWORD": ""})[0])[3] == ""


@pytest.mark.parametrize("password", PASSWORDS)
def test_passwords_with_special_characters(password):
    assert parts(database(DB | {"DB_PASSWORD": password})[0])[3] == password
    url = f"postgresql://u:{quote(password, safe='')}@h:1/n"
    found, problems = database({"DATABASE_URL": url})
    assert (parts(found), problems) == (("h", "1", "u", password, "n"), [])


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p@h:1/n", ("h", "1", "u", "p", "n")),
        ("postgres://u:p@h/n", ("h", "", "u", "p", "n")),
        ("postgresql://h/n", ("h", "", "", "", "n")),
        ("postgresql:///n", ("", "", "", "", "n")),
        ("postgresql://u:p@[::1]:1/n", ("::1", "1", "u", "p", "n")),
        ("postgresql://u%40d:p@h/n%20m", ("h", "", "u@d", "p", "n m")),
        ("postgresql:///n?host=/Run/Pg&port=1&user=u&password=p", ("/Run/Pg", "1", "u", "p", "n")),
        ("postgresql://u:p@ss@h:1/n", ("h", "1", "u", "p@ss", "n")),
    ],
)
def test_the_address_of_a_postgresql(url, expected):
    found, problems = database({"DATABASE_URL": f" {url} "})
    assert (parts(found), problems) == (expected, [])


def test_options_of_the_address_reach_the_driver():
    url = "postgresql://h/n?sslmode=require&name=x&env=y&connect_timeout=9"
    options = database({"DATABASE_URL": url})[0]["OPTIONS"]
    assert options["sslmode"] == "require"
    assert options["connect_timeout"] == "9"


@pytest.mark.parametrize(
    "url",
    [
        "mysql://h/n",
        "h:5432/n",
        "saga_db",
        "postgresql://",
        "postgresql://h",
        "postgresql://h/",
        "postgresql://h:port/n",
        "postgresql://h:0/n",
        "postgresql://h:70000/n",
        "postgresql://[::1/n",
        "postgresql://u:p#ss@h/n",
        "postgresql://u:1#ss@h/n",
        "postgresql://u:p/ss@h/n",
        "postgresql://u:1/ss@h/n",
        "postgresql://u:1?ss@h/n",
        "postgresql://u:1/a#ss@h/n",
        "postgresql://h\u2100/n",
        "sqlite://",
        "sqlite:///",
        "sqlite://:memory:",
        "sqlite://host/file",
    ],
)
def test_what_is_no_address_of_a_postgresql_is_one_problem_that_shows_no_password(url):
    env = Environment({"DATABASE_URL": url})
    addresses.database(env, STATE)
    [problem] = env.problems
    assert problem.id == "sagas.E004"
    assert "ss@h" not in problem.message + problem.hint


@pytest.mark.parametrize(
    ("url", "path"),
    [("sqlite:////data/a%20b.sqlite3", "/data/a b.sqlite3"), ("sqlite:///x.sqlite3", "x.sqlite3")],
)
def test_a_file_of_one_s_own(url, path):
    found, problems = database({"DATABASE_URL": url})
    assert (found["NAME"], problems) == (path, [])


@pytest.mark.parametrize("name", ["DB_HOST", "DB_USERNAME", "DB_PASSWORD", "DB_DATABASE"])
def test_an_address_and_a_db_variable_contradict_each_other(name):
    env = Environment({"DATABASE_URL": "postgresql://h/n", name: "x"})
    addresses.database(env, STATE)
    [problem] = env.problems
    assert problem.id == "sagas.E002"
    assert name in problem.message


@pytest.mark.parametrize("name", ["DB_HOST", "DB_USERNAME", "DB_DATABASE"])
def test_a_db_variable_that_is_missing_is_named(name):
    env = Environment({key: value for key, value in DB.items() if key != name})
    addresses.database(env, STATE)
    [problem] = env.problems
    assert problem.id == "sagas.E003"
    assert problem.message.startswith(f"{name} missing")


def test_a_password_alone_is_no_database():
    assert database({"DB_PASSWORD": "x"})[1] == ["E003"]


def test_a_port_alone_is_kubernetes_speaking_of_a_service():
    given = {"DB_PORT": "tcp://10.0.0.1:5432"}
    assert database(given)[1] == []
    assert database(given | {"DATABASE_URL": "postgresql://h/n"})[1] == []


@pytest.mark.parametrize("port", ["0", "70000", "x", "tcp://10.0.0.1:5432"])
def test_a_wrong_port_is_one_problem(port):
    assert database(DB | {"DB_PORT": port})[1] == ["E001"]
