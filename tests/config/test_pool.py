"""The pool of database connections: at once where it can, patient where that helps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import pytest
from psycopg.errors import OperationalError
from psycopg_pool import PoolTimeout

from sagaproject.postgresql import pool as pools
from sagaproject.postgresql.pool import Pool, answer_within
from tests.acceptance.service import frozen
from tests.servers import Postgres, start_postgres


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with start_postgres() as server:
        yield server


@pytest.fixture
def pool(postgres: Postgres) -> Iterator[Pool]:
    with made(postgres) as pool:
        yield pool


@contextmanager
def made(postgres: Postgres, **options: Any) -> Iterator[Pool]:
    more: dict[str, Any] = {"min_size": 1, "max_size": 4, "timeout": 5, **options}
    params = {"autocommit": True, "connect_timeout": 2}
    pool = Pool(
        conninfo=postgres.url, kwargs=params, check=Pool.check_connection, open=False, **more
    )
    with pool:
        yield pool


@contextmanager
def within(seconds: float) -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


def use(pool: Pool, seconds: float = 0) -> int:
    with pool.connection() as connection:
        connection.execute("select pg_sleep(%s)", [seconds])
        return connection.info.backend_pid


def use_all(pool: Pool) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: use(pool, 0.2), range(4)))


def test_a_server_that_is_away_is_told_at_once_and_found_again_at_once(postgres: Postgres) -> None:
    with made(postgres) as pool:
        use_all(pool)
        postgres.kill()
        try:
            for _ in range(3):
                with within(1), pytest.raises(OperationalError, match="refused"):
                    use(pool)
        finally:
            postgres.start()
        with within(1):
            use_all(pool)


def test_dead_connections_cost_nobody_a_wait(postgres: Postgres, pool: Pool) -> None:
    use_all(pool)
    with psycopg.connect(postgres.url, autocommit=True) as other:
        other.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = 'saga' and pid <> pg_backend_pid()"
        )
    with within(0.8):
        use(pool)
    with within(0.8):
        use_all(pool)


def test_a_busy_pool_is_waited_for(postgres: Postgres) -> None:
    with made(postgres, max_size=1) as pool, ThreadPoolExecutor(6) as threads:
        assert len(set(threads.map(lambda _: use(pool, 0.2), range(6)))) == 1
        busy = threads.submit(use, pool, 1)
        time.sleep(0.2)
        with pytest.raises(PoolTimeout):
            pool.getconn(0.2)
        busy.result()


def test_a_server_that_is_full_is_waited_for_as_long_as_a_connection_may_come_back(
    postgres: Postgres, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool.wait()  # one connection, and no second on its way

    def refused(*args: object, **kwargs: object) -> None:
        raise OperationalError("FATAL: sorry, too many clients already")

    monkeypatch.setattr(pools.Connection, "connect", refused)
    with ThreadPoolExecutor(2) as threads:
        first, second = (threads.submit(use, pool, 0.3) for _ in range(2))
        assert first.result() == second.result()
    pool.drain()
    with within(1), pytest.raises(OperationalError, match="too many"):
        use(pool)


def test_a_server_that_hangs_is_given_up(postgres: Postgres, pool: Pool) -> None:
    use(pool)
    answer_within(0.5)
    assert postgres.process is not None
    try:
        with pool.connection() as connection, frozen(postgres.process.pid):
            with within(2), pytest.raises(OperationalError, match=r"no answer within 0\.5 s"):
                connection.execute("select 1")
            with pytest.raises(OperationalError):
                connection.execute("select 1")
            with within(5), pytest.raises(OperationalError):
                use(pool)
    finally:
        answer_within(None)
    with suppress(OperationalError):
        use(pool)  # an attempt to connect that began meanwhile may end just now
    with within(1):
        use(pool)
