"""The whole system on real processes: PostgreSQL, Redis, the shop, proxies, API and workers."""

from __future__ import annotations

import http.client
import json
import os
import random
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from socket import socket
from typing import Any, Self
from urllib.request import Request, urlopen

import psycopg
import redis

from tests.chaos.processes import ROOT, Slot, eventually
from tests.free_port import free_port
from tests.proxy import Proxy
from tests.proxy_faults import Switch
from tests.servers import start_postgres, start_redis

RECOVERY_MS = 3000
"""An open breaker: 3 s instead of 30, or most of a run of minutes would be spent behind it."""

_OURS = ("DB_", "DATABASE_", "SAGA_", "PARTICIPANT_", "PROMETHEUS_", "DJANGO_", "REDIS_")


class System:
    """Everything on ports of its own; a context manager that leaves no process behind."""

    def __init__(self, folder: Path, *, workers: int, seed: int = 0) -> None:
        self.folder = folder
        self.port = free_port()
        self._workers = workers
        self._seed = seed
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            self.postgres = opened.enter_context(start_postgres())
            self.redis = opened.enter_context(start_redis())
            self.shop = self._start_shop(opened)
            self.proxies = {
                name: opened.enter_context(proxy_to(url, self._seed))
                for name, url in self.shop.items()
            }
            self.manage("migrate", "-v0").check_returncode()
            self._slots(opened)
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._opened.close()

    @property
    def slots(self) -> list[Slot]:
        return [self.api, *self.workers]

    def manage(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run `manage.py` with a command, on this system but past the proxies."""
        return subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=ROOT,
            env=self._env(self.shop),
            capture_output=True,
            text=True,
            check=False,
        )

    def database(self) -> psycopg.Connection[Any]:
        """A connection of our own."""
        return psycopg.connect(self.postgres.url, autocommit=True, connect_timeout=5)

    def redis_client(self) -> Any:
        """A client of our own, patient enough for a blocking read."""
        return redis.Redis.from_url(self.redis.url, socket_timeout=2, socket_connect_timeout=1)

    def ready(self) -> bool:
        """Whether the API says that it can serve."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def switches(self, service: str) -> list[dict[str, Any]]:
        """The fault switches of one participant, with how often each struck."""
        found: list[dict[str, Any]] = self._shop(service, "GET")["faults"]
        return found

    def switch(self, service: str, **fields: Any) -> None:
        """Set a fault switch of one participant."""
        self._shop(service, "PUT", fields)

    def clear_switches(self, service: str) -> None:
        """Take all fault switches of one participant away."""
        self._shop(service, "DELETE")

    def _shop(self, service: str, method: str, fields: Any = None) -> Any:
        body = None if fields is None else json.dumps(fields).encode()
        url = f"{self.shop[service]}/faults"
        with urlopen(Request(url, body, method=method), timeout=10) as answer:
            return json.load(answer)

    def _slots(self, opened: ExitStack) -> None:
        env = self._env({name: proxy.url for name, proxy in self.proxies.items()})
        logs = self.folder / "logs"
        self.api = Slot("api", ["manage.py", "api"], env, logs / "api")
        self.workers = [
            Slot(f"worker{index}", ["manage.py", "worker"], env, logs / f"worker{index}")
            for index in range(self._workers)
        ]
        for slot in self.slots:
            opened.callback(slot.end_at_once)
            slot.start()
        eventually(self.ready, 60, "the API is ready")
        eventually(lambda: all(slot.processes() for slot in self.workers), 60, "all workers run")

    def _env(self, participants: dict[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        urls = {f"PARTICIPANT_{name.upper()}_URL": url for name, url in participants.items()}
        return {
            **kept,
            **urls,
            "PYTHONUNBUFFERED": "1",
            "SAGA_STATE_DIR": str(self.folder / "state"),
            "SAGA_API_OPEN": "on",
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.redis.url,
            "PORT": str(self.port),
            "SAGA_METRICS_PORT": "0",
            "SAGA_API_DRIVES": "on",
            "LOG_LEVEL": "warning",
            "SAGA_RECOVERY_TIMEOUT_MS": str(RECOVERY_MS),
        }

    def _start_shop(self, opened: ExitStack) -> dict[str, str]:
        """Its addresses by name; it ends with the pipe that this process holds."""
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        ports = [f"--{name}-port=0" for name in ("inventory", "payment", "sales")]
        state = ["--state", str(self.folder / "shop"), "--exit-with-parent-pipe"]
        log = opened.enter_context((self.folder / "logs" / "shop").open("ab"))
        process = subprocess.Popen(
            [sys.executable, "-m", "shop", *state, *ports],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
        opened.callback(_end, process)
        assert process.stdout is not None
        return dict(process.stdout.readline().decode().split() for _ in ports)


class Distant(Proxy):
    """Each call takes a while, as it does at real participants.

    The shop answers in milliseconds: hardly ever would a call be under way when a fault strikes.
    """

    def __init__(self, host: str, port: int, *, seed: int) -> None:
        super().__init__(host, port, seed=seed)
        self._met: dict[int, Switch] = {}

    def faults_that_struck(self, name: str) -> int:
        """How many of the faults that were switched on under this name struck at least once."""
        if name == "refuse":
            return self.struck[name]  # each does at once
        return sum(switch.name == name for switch in list(self._met.values()))

    def _pass_on(self, caller: socket, request: bytes, switch: Switch | None) -> bool:
        if switch is not None:
            self._met[id(switch)] = switch
        return super()._pass_on(caller, request, switch)

    def _ask(self, request: bytes) -> tuple[bytes, bool]:
        time.sleep(random.uniform(0.1, 0.5))
        return super()._ask(request)


def proxy_to(url: str, seed: int) -> Distant:
    """A proxy in front of one participant."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    return Distant(host, int(port), seed=seed)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
