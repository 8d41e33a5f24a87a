"""The service as it is deployed: API and worker processes on PostgreSQL and Redis, and the shop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import psycopg
import requests

from shop import Shop
from tests.servers import start_postgres, start_redis

ROOT = Path(__file__).resolve().parents[2]

PURCHASE: dict[str, Any] = {
    "store_id": 1,
    "customer_id": 123,
    "items": [{"product_id": 456, "quantity": 2, "price": 29.99}],
    "payment_method": "credit_card",
    "amount": 59.98,
}


def eventually(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until the condition holds; fail with `what` when it does not in time."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not within {seconds} s: {what}"
        time.sleep(0.1)


def children(pid: int) -> list[int]:
    """The processes that have this one as their parent, in order of their ids."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            state, parent = stat.read_text().rsplit(")", 1)[1].split()[:2]
            if parent == str(pid) and state != "Z":
                found.append(int(stat.parent.name))
    return sorted(found)


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """The process and its children hang meanwhile."""
    os.kill(pid, signal.SIGSTOP)  # first, so that it makes no more of them
    stopped = [pid, *children(pid)]
    for each in stopped[1:]:
        os.kill(each, signal.SIGSTOP)
    try:
        yield
    finally:
        for each in reversed(stopped):
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGCONT)


class Service:
    """Everything on ports of its own; a context manager."""

    def __init__(self, folder: Path, port: int, **env: str) -> None:
        self.folder = folder
        self.env = env
        self.url = f"http://127.0.0.1:{port}"
        self.http = requests.Session()
        self.shop = Shop(folder / "shop", ports={"inventory": 0, "payment": 0, "sales": 0})
        self.processes: list[subprocess.Popen[bytes]] = []
        self._verifier: subprocess.Popen[str] | None = None
        self.port = port
        self.log: Path | None = None
        """Where the processes' output goes; None: where that of the tests goes."""

    def __enter__(self) -> Self:
        self.postgres, self.redis = start_postgres(), start_redis()
        self.shop.start()
        self.run("migrate", "-v0").wait()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._verifier is not None:
            self._verifier.communicate(timeout=30)
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            process.wait(30)
        self.shop.stop()
        self.postgres.stop()
        self.redis.stop()

    def run(self, *command: str, **env: str) -> subprocess.Popen[bytes]:
        """Start `manage.py` with a command, in a process group of its own."""
        output = self.log.open("ab") if self.log else None
        process = subprocess.Popen(
            [sys.executable, "manage.py", *command],
            cwd=ROOT,
            start_new_session=True,
            stdout=output,
            stderr=output,
            env=self._environment(**env),
        )
        if output:
            output.close()  # the process has its own
        self.processes.append(process)
        return process

    def verify(self, *arguments: str) -> Any:
        """What `manage.py verify` finds, as JSON values."""
        if self._verifier is None:
            self._verifier = subprocess.Popen(
                [sys.executable, "-m", "tests.acceptance.verifier"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=self._environment(DJANGO_SETTINGS_MODULE="sagaproject.settings"),
            )
        assert self._verifier.stdin is not None
        assert self._verifier.stdout is not None
        self._verifier.stdin.write(json.dumps(["--participants", "--json", *arguments]) + "\n")
        self._verifier.stdin.flush()
        status, found = json.loads(self._verifier.stdout.readline())
        assert status in (0, 1), found
        return json.loads(found)

    def broken(self, *ids: str) -> list[str]:
        """Which promises are broken of these sagas."""
        found = self.verify("--running")["violations"]
        return [f"{v['saga']}: {v['text']}" for v in found if v["saga"] in ids]

    def _environment(self, **env: str) -> dict[str, str]:
        unwanted = ("DB_", "SAGA_", "PARTICIPANT_", "PROMETHEUS_", "DJANGO_", "REDIS_", "OTEL_")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(unwanted)}
        participants = {f"PARTICIPANT_{n.upper()}_URL": u for n, u in self.shop.urls.items()}
        return (
            inherited
            | participants
            | {
                "SAGA_STATE_DIR": str(self.folder / "state"),
                "DATABASE_URL": self.postgres.url,
                "REDIS_URL": self.redis.url,
                "PORT": str(self.port),
                "LOG_LEVEL": "error",
                "SAGA_API_OPEN": "on",
                "SAGA_WORKER_PROCESSES": "1",
                "SAGA_METRICS_PORT": "0",  # the API tells those of the workers, too
                **self.env,
                **env,
            }
        )

    def start_api(self, **env: str) -> subprocess.Popen[bytes]:
        """Start the API and wait until it is ready."""
        process = self.run("api", **env)
        eventually(self.ready, 30, "the API is ready")
        return process

    def start_worker(self, **env: str) -> subprocess.Popen[bytes]:
        """Start a worker."""
        return self.run("worker", **env)

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """kill -9 of the process and its children."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """kill -9, unless it is gone already."""
        if process.poll() is None:
            self.kill(process)

    def ready(self) -> bool:
        try:
            return self.http.get(f"{self.url}/health/ready", timeout=5).ok
        except requests.RequestException:
            return False

    def health(self) -> dict[str, str]:
        found: dict[str, str] = self.http.get(f"{self.url}/health/ready", timeout=20).json()
        return found

    def status(self, saga_id: str) -> str:
        found: str = self.get(f"/{saga_id}")["status"]
        return found

    def ends(self, saga_id: str, status: str, seconds: float = 30) -> float:
        """Wait until the saga has that status; the seconds that it took."""
        started = time.monotonic()
        while (saga := self.get(f"/{saga_id}"))["status"] != status:
            late = time.monotonic() - started > seconds
            assert not late, f"not {status} within {seconds} s: {saga}"
            time.sleep(0.1)
        return time.monotonic() - started

    def kinds(self, saga_id: str) -> list[str]:
        """The kinds of the saga's events, in order."""
        return [event["kind"] for event in self.get(f"/{saga_id}/events")]

    def sql(self, statement: str) -> list[Any]:
        """What the database answers to a statement that is sent past the service."""
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def create(
        self,
        *,
        execute: bool = True,
        saga_type: str = "purchase_saga",
        headers: dict[str, str] | None = None,
        **data: Any,
    ) -> str:
        """A new saga, a purchase unless told otherwise; its id."""
        body = {"type": saga_type, "data": PURCHASE | data, "execute": execute}
        answer = self.http.post(f"{self.url}/api/v1/sagas", json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        saga_id: str = answer.json()["id"]
        return saga_id

    def post(self, path: str, **headers: str) -> requests.Response:
        return self.http.post(f"{self.url}/api/v1/sagas/{path}", headers=headers, timeout=90)

    def get(self, path: str) -> Any:
        answer = self.http.get(f"{self.url}/api/v1/sagas{path}")
        assert answer.ok, answer.text
        return answer.json()

    def count(self, status: str) -> int:
        number: int = self.get(f"?status={status}&limit=1")["count"]
        return number

    def metric(self, line: str) -> float:
        """The value of the metric that is written so in /metrics."""
        text = self.http.get(f"{self.url}/metrics").text
        for row in text.splitlines():
            if row.startswith(line + " "):
                return float(row.rsplit(" ", 1)[1])
        return 0.0

    def fault(self, service: str, **switch: Any) -> None:
        answer = self.http.put(f"{self.shop.urls[service]}/faults", json=switch)
        assert answer.status_code == 201, answer.text
