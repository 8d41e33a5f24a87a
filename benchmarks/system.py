"""Everything that is measured, started on ports of its own and ended with this process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg.conninfo import make_conninfo

from tests.free_port import free_port
from tests.servers import Postgres, start_redis

ROOT = Path(__file__).resolve().parent.parent
_START, _END = 60.0, 8.0
"""Seconds that processes may take to begin, and to end in order."""

_NOT_INHERITED = (
    *("DATABASE_", "DB_", "DJANGO_", "LOG_", "OTEL_", "PARTICIPANT_", "PROMETHEUS_", "REDIS_"),
    *("SAGA_", "NODE_ENV"),
)


class DurablePostgres(Postgres):
    """Commits as in production: on disk before they are confirmed."""

    max_connections = 600

    def settings(self) -> dict[str, object]:
        """PostgreSQL's own but for memory, and no checkpoint in the middle of a run."""
        durable = super().settings() | {
            "fsync": "on",
            "full_page_writes": "on",
            "shared_buffers": "512MB",
            "max_wal_size": "8GB",
            "checkpoint_timeout": "30min",
        }
        if any((self.binaries.parent / "lib").rglob("pg_stat_statements.so")):
            durable["shared_preload_libraries"] = "pg_stat_statements"
        return durable


@dataclass(frozen=True, slots=True)
class Size:
    """Processes, and threads of each; 0: the project's default."""

    processes: int = 0
    threads: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """`2x8` as two processes of eight threads."""
        processes, _, threads = text.partition("x")
        return cls(int(processes), int(threads))

    def variables(self, kind: str) -> dict[str, str]:
        """As the service is told."""
        named = {"PROCESSES": self.processes, "THREADS": self.threads}
        return {f"SAGA_{kind}_{name}": str(number) for name, number in named.items() if number}


class System:
    """PostgreSQL, Redis, the stand-in shop, the API and the workers; a context manager."""

    def __init__(self, settings: Mapping[str, str], history: int, *, works: bool = True) -> None:
        self._history = history
        self._settings = dict(settings)
        self._works = works
        self._ending = ExitStack()
        self.roles: dict[str, list[int]] = {}
        """The processes to account for, by what they are; each stands for all below it."""

    def __enter__(self) -> Self:
        with self._ending as ending:
            self._start(ending)
            self._ending = ending.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ending.close()

    def _start(self, ending: ExitStack) -> None:
        self.folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="saga-bench-")))
        self.postgres = ending.enter_context(DurablePostgres())
        self.redis = ending.enter_context(start_redis())
        for role, server in (("postgres", self.postgres), ("redis", self.redis)):
            assert server.process is not None
            self.roles[role] = [server.process.pid]
        self.shop_port, self.api_port = free_port(), free_port()
        self._environment = self._variables()
        self._spawn(ending, "shop", "-m", "benchmarks.participant", str(self.shop_port))
        self._manage("migrate", "--verbosity", "0")
        if self._history:
            # Sagas of the types that there are otherwise; all have ended, nobody drives them.
            self._manage("seed", "--history", str(self._history), SAGA_EXECUTORS="")
            with psycopg.connect(self.postgres.url, autocommit=True) as connection:
                connection.execute("VACUUM ANALYZE")
                connection.execute("CHECKPOINT")
        self._spawn(ending, "api", "manage.py", "api")
        if self._works:
            self.work(ending)
        self._until(lambda: self._answers("/health/ready"), "the API answers")

    def work(self, ending: ExitStack | None = None) -> None:
        """Start the workers."""
        self._spawn(ending or self._ending, "worker", "manage.py", "worker")
        number = int(self._environment.get("SAGA_WORKER_PROCESSES", "2"))
        self._until(lambda: self.log("worker").count("worker started") >= number, "workers start")

    def _variables(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(_NOT_INHERITED)}
        return (
            inherited
            | self._settings
            | {
                "SAGA_STATE_DIR": str(self.folder / "state"),
                "DATABASE_URL": self.postgres.url,
                "REDIS_URL": self.redis.url,
                "PORT": str(self.api_port),
                "PARTICIPANT_SHOP_URL": f"http://127.0.0.1:{self.shop_port}",
                "SAGA_EXECUTORS": "benchmarks.purchase",
                "SAGA_API_OPEN": "on",
                "SAGA_API_RATE": "0",
            }
        )

    def _manage(self, *command: str, **env: str) -> None:
        self.python("manage.py", *command, **env)

    def python(self, *arguments: str, **env: str) -> None:
        """Run something with the settings of the service."""
        subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self._environment | env,
            stdout=subprocess.DEVNULL,
            check=True,
        )

    def _spawn(self, ending: ExitStack, role: str, *arguments: str) -> None:
        with (self.folder / f"{role}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us, who then end them
            )
        ending.callback(end, process)
        self.roles[role] = [process.pid]

    def _until(self, condition: Any, what: str) -> None:
        until = time.monotonic() + _START
        while not condition():
            if time.monotonic() > until:
                logs = "\n".join(self.log(role)[-2000:] for role in ("shop", "api", "worker"))
                raise RuntimeError(f"not within {_START:g} s: {what}\n{logs}")
            time.sleep(0.1)

    def log(self, role: str) -> str:
        """What the processes of a role have written so far."""
        return (self.folder / f"{role}.log").read_text(errors="replace")

    def _answers(self, path: str) -> bool:
        try:
            address = f"http://127.0.0.1:{self.api_port}{path}"
            with urllib.request.urlopen(address, timeout=5):
                return True
        except OSError:
            return False

    def database(self, name: str) -> str:
        """The address of another database of the same server."""
        return make_conninfo(self.postgres.url, dbname=name)

    def shop(self, path: str, **content: Any) -> Any:
        """Ask the shop, or tell it how to be."""
        body = json.dumps(content).encode() if content else None
        request = urllib.request.Request(f"http://127.0.0.1:{self.shop_port}{path}", data=body)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


def end(process: subprocess.Popen[Any]) -> None:
    """End a process in order, and what is left of its group by force."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_END)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
