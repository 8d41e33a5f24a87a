"""A pytest plugin: a real PostgreSQL and a real Redis for the test run.

It starts them unless the environment names them (DATABASE_URL or DB_HOST, REDIS_URL or
REDIS_HOST). SAGA_TEST_DATABASE=sqlite runs the tests on the embedded default, with no server.
"""

import os
from collections.abc import Generator, MutableMapping
from urllib.parse import quote, urlsplit, urlunsplit

import pytest

from tests.server_binaries import ServerError
from tests.servers import Server, start_postgres, start_redis

NAMING_A_SERVER = (
    "DATABASE_URL", "DB_HOST", "DB_USERNAME", "DB_DATABASE", "REDIS_URL", "REDIS_HOST",
)  # fmt: skip

_running: list[Server] = []


@pytest.hookimpl(wrapper=True)  # a wrapper comes before pytest-django, which reads the settings
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, object, object]:
    asked = early_config.known_args_namespace
    os.environ.setdefault("SAGA_API_OPEN", "on")  # the tests of API keys close it
    if not (asked.help or asked.version):
        try:
            provide_servers(os.environ)
        except ServerError as error:
            raise pytest.UsageError(str(error)) from None
    return (yield)


def pytest_unconfigure() -> None:
    while _running:
        _running.pop().close()


def provide_servers(environ: MutableMapping[str, str]) -> None:
    """Make the environment name a database and a Redis, started here where it does not."""
    if environ.get("SAGA_TEST_DATABASE") == "sqlite":
        for name in NAMING_A_SERVER:
            environ.pop(name, None)
        return
    if not (environ.get("DATABASE_URL") or environ.get("DB_HOST")):
        environ["DATABASE_URL"] = _run(start_postgres())
    if not environ.get("REDIS_URL"):
        environ["REDIS_URL"] = _named_redis(environ) or _run(start_redis())
    # A worker of pytest-xdist inherits both from the controller. pytest-django gives each a test
    # database of its own; a Redis database of its own it gets here.
    worker = environ.get("PYTEST_XDIST_WORKER", "gw0")
    environ["REDIS_URL"] = _redis_database(environ["REDIS_URL"], int(worker.removeprefix("gw")))


def _run(server: Server) -> str:
    _running.append(server)
    return server.url


def _named_redis(environ: MutableMapping[str, str]) -> str:
    """The address from REDIS_HOST, which it replaces: the settings refuse to be told both."""
    if not (host := environ.pop("REDIS_HOST", "")):
        return ""
    login = f":{quote(password, safe='')}@" if (password := environ.get("REDIS_PASSWORD")) else ""
    return f"redis://{login}{host}:{environ.get('REDIS_PORT') or 6379}/0"


def _redis_database(url: str, offset: int) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"/{int(parts.path.strip('/') or 0) + offset}"))
