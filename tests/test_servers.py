"""The test servers themselves: real, restartable, and gone when their starter is."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.server_plugin import provide_servers
from tests.servers import Postgres, Redis, Server, start_postgres, start_redis

pytestmark = pytest.mark.xdist_group("servers")

NO_RETRY = Retry(NoBackoff(), 0)
STARTER = """
import time
from tests.servers import start_postgres, start_redis
for server in (start_postgres(), start_redis()):
    print(server.process.pid, server.folder, flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with start_postgres() as server:
        yield server


@pytest.fixture(scope="module")
def valkey() -> Iterator[Redis]:
    with start_redis() as server:
        yield server


def query(server: Postgres, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def listens(server: Server) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", server.port)) == 0


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    stat = Path(f"/proc/{pid}/stat")  # in a container without an init, an orphan stays a zombie
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"


def test_postgres_answers(postgres):
    assert query(postgres, "select 1, upper('é')") == [(1, "É")]


def test_redis_answers(valkey):
    with redis.Redis.from_url(valkey.url) as client:
        assert client.ping()


def test_both_want_the_password(postgres, valkey):
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(postgres.url.replace(postgres.password, "wrong"))
    client = redis.Redis(port=valkey.port, retry=NO_RETRY)
    with client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_stop_frees_the_port_and_restart_takes_it_again(postgres, valkey):
    for server in (postgres, valkey):
        url = server.url
        server.stop()
        assert not listens(server)
        server.restart()
        assert listens(server)
        assert server.url == url


def test_postgres_keeps_its_data_through_a_crash(postgres):
    query(postgres, "create table kept as select 1 as n")
    postgres.kill()
    assert not listens(postgres)
    postgres.restart()
    assert query(postgres, "select n from kept") == [(1,)]


def test_redis_forgets_everything_in_a_crash(valkey):
    with redis.Redis.from_url(valkey.url) as client:
        client.set("kept", 1)
        valkey.kill()
        valkey.restart()
        assert client.get("kept") is None


@pytest.mark.skipif(sys.platform != "linux", reason="needs the kernel's word of a parent's death")
def test_servers_end_with_a_killed_starter_and_their_folders_with_the_next_start():
    with subprocess.Popen([sys.executable, "-c", STARTER], stdout=subprocess.PIPE) as starter:
        assert starter.stdout
        lines = [starter.stdout.readline().decode().split() for _ in range(2)]
        starter.send_signal(signal.SIGKILL)
    for pid, _ in lines:
        wait_until(partial(is_gone, int(pid)))
    start_redis().close()
    assert [folder for _, folder in lines if Path(folder).exists()] == []


def test_close_leaves_nothing():
    server = start_redis()
    server.close()
    assert not listens(server)
    assert not server.folder.exists()


@pytest.mark.parametrize(
    ("given", "database", "redis_url"),
    [
        ({"DATABASE_URL": "postgresql://a/b"}, "postgresql://a/b", "redis://c/0"),
        ({"DB_HOST": "a"}, None, "redis://c/0"),
        ({"DB_HOST": "a", "PYTEST_XDIST_WORKER": "gw3"}, None, "redis://c/3"),
        ({"DB_HOST": "a", "REDIS_URL": "redis://c/4"}, None, "redis://c/4"),
        (
            {"DB_HOST": "a", "REDIS_URL": "redis://c/4", "PYTEST_XDIST_WORKER": "gw1"},
            None,
            "redis://c/5",
        ),
        ({"DB_HOST": "a", "REDIS_URL": "", "REDIS_HOST": "d"}, None, "redis://d:6379/0"),
        (
            {"DB_HOST": "a", "REDIS_URL": "", "REDIS_HOST": "d", "REDIS_PASSWORD": "p@"},
            None,
            "redis://:p%40@d:6379/0",
        ),
        ({"DATABASE_URL": "postgresql://a/b", "SAGA_TEST_DATABASE": "sqlite"}, None, None),
    ],
)
def test_servers_that_the_environment_names_win(given, database, redis_url):
    environ = {"REDIS_URL": "redis://c", **given}
    provide_servers(environ)
    assert environ.get("DATABASE_URL") == database
    assert environ.get("REDIS_URL") == redis_url
    assert "REDIS_HOST" not in environ  # the settings refuse to be told both
