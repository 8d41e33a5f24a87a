"""Where Redis and the participants are."""

from __future__ import annotations

import pytest
from redis.connection import parse_url

from sagaproject import addresses
from sagaproject.config import Environment
from tests.config.test_database import DB, PASSWORDS, STATE

# --- Redis ------------------------------------------------------------------------------------


def redis_url(given: dict[str, str]) -> tuple[str, list[str]]:
    env = Environment(given)
    found = addresses.redis_url(env)
    return found, [problem.id.removeprefix("sagas.") for problem in env.problems]


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, ""),
        ({"REDIS_PORT": "6379"}, ""),
        ({"REDIS_HOST": "redis"}, "redis://redis:6379/0"),
        ({"REDIS_HOST": "redis", "REDIS_PORT": "7000"}, "redis://redis:7000/0"),
        ({"REDIS_HOST": "::1"}, "redis://[::1]:6379/0"),
        ({"REDIS_URL": "redis://h"}, "redis://h"),
        ({"REDIS_URL": "rediss://:p@h:1/3"}, "rediss://:p@h:1/3"),
        ({"REDIS_URL": "unix:///run/redis.sock?db=1"}, "unix:///run/redis.sock?db=1"),
        ({"REDIS_URL": "redis://h", "REDIS_PORT": "tcp://10.0.0.1:6379"}, "redis://h"),
    ],
)
def test_the_address_of_a_redis(given, url):
    assert redis_url(given) == (url, [])


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_of_redis_arrives(password):
    url, problems = redis_url({"REDIS_HOST": "h", "REDIS_PASSWORD": password})
    assert problems == []
    found = parse_url(url)
    assert (found["host"], found["port"], found["password"]) == ("h", 6379, password)


@pytest.mark.parametrize(
    "url",
    [
        "http://h",
        "h:6379",
        "redis://",
        "redis://:p@",
        "redis://h:port/0",
        "redis://h:70000/0",
        "redis://[::1/0",
        "redis://h/x",
        "redis://h/0/1",
        "redis://:p#ss@h/0",
        "redis://u:1/0#ss@h/0",
        "redis://:p/ss@h/0",
        "unix://",
    ],
)
def test_what_is_no_address_of_a_redis_is_one_problem_that_shows_no_password(url):
    for name in ("REDIS_URL", "REDIS_CACHE_URL"):
        env = Environment({name: url})
        found = addresses.redis_url(env) or addresses.cache_url(env, "")
        [problem] = env.problems
        assert (found, problem.id) == ("", "sagas.E006")
        assert problem.message.startswith(name)
        assert "ss@h" not in problem.message + problem.hint


@pytest.mark.parametrize("host", ["h:6379", "redis://h", "a b/c"])
def test_a_host_that_is_an_address_is_one_problem(host):
    assert redis_url({"REDIS_HOST": host}) == ("", ["E006"])


def test_an_address_and_a_host_contradict_each_other():
    assert redis_url({"REDIS_URL": "redis://h", "REDIS_HOST": "h"}) == ("redis://h", ["E005"])


def test_the_cache_may_be_apart():
    env = Environment({"REDIS_CACHE_URL": "redis://cache/1"})
    assert addresses.cache_url(env, "redis://broker") == "redis://cache/1"
    assert addresses.cache_url(Environment({}), "redis://broker") == "redis://broker"


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        ({}, []),
        (DB, ["E009"]),
        ({"REDIS_HOST": "h"}, ["E010"]),
        (DB | {"REDIS_HOST": "h"}, []),
        (DB | {"REDIS_URL": "nonsense"}, ["E006"]),
        ({"DATABASE_URL": "nonsense", "REDIS_HOST": "h"}, ["E004"]),
        ({"DATABASE_URL": "nonsense"}, ["E004"]),
        ({"DATABASE_URL": "sqlite:///x", "REDIS_HOST": "h"}, ["E010"]),
    ],
)
def test_both_are_shared_or_neither_and_one_mistake_is_one_problem(given, problems):
    env = Environment(given)
    found = addresses.database(env, STATE)
    redis = addresses.redis_url(env)
    postgresql = "postgresql" in found["ENGINE"]
    addresses.check_pair(env, postgresql=postgresql, redis=bool(redis))
    assert [problem.id.removeprefix("sagas.") for problem in env.problems] == problems


# --- Participants -----------------------------------------------------------------------------


def test_participants_of_the_demo_outside_production_only():
    assert set(addresses.participants(Environment({}), production=False)) == {
        "inventory",
        "payment",
        "sales",
    }
    assert addresses.participants(Environment({}), production=True) == {}


def test_participants_are_named_by_their_variables():
    given = {
        "PARTICIPANT_HOTEL_URL": " https://hotel.internal:8443/api ",
        "PARTICIPANT_PAYMENT_URL": "http://[::1]:80",
        "PARTICIPANT_EMPTY_URL": "",
        "PARTICIPANT_HOTEL": "x",
    }
    env = Environment(given)
    assert addresses.participants(env, production=True) == {
        "hotel": "https://hotel.internal:8443/api",
        "payment": "http://[::1]:80",
    }
    assert env.problems == []


@pytest.mark.parametrize(
    "url",
    [
        "hotel:80",
        "ftp://h",
        "http://",
        "http:///x",
        "http://h:x",
        "http://h:0",
        "http://h:99999",
        "http://[::1",
        "http://user:ss@h",
        "http://h/?key=ss@h",
        "http://h/#x",
    ],
)
def test_what_is_no_address_of_a_participant_is_one_problem_that_does_not_show_it(url):
    env = Environment({"PARTICIPANT_HOTEL_URL": url})
    addresses.participants(env, production=True)
    [problem] = env.problems
    assert problem.id == "sagas.E007"
    assert problem.message.startswith("PARTICIPANT_HOTEL_URL ")
    assert "ss@h" not in problem.message + problem.hint
