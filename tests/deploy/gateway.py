"""Two API instances behind Caddy, as deploy/caddy sets them up."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import requests

from tests.acceptance.service import ROOT, Service, eventually
from tests.free_port import free_port

CADDYFILE = ROOT / "deploy" / "caddy" / "Caddyfile"
DRAIN = 1.5
"""Seconds; more than one of the gateway's looks at an instance's health."""


def caddy() -> str:
    """The gateway's program: SAGA_TEST_CADDY, or the one of the development requirements."""
    found = os.environ.get("SAGA_TEST_CADDY")
    return found or shutil.which("caddy", path=str(Path(sys.executable).parent)) or "caddy"


def directives(program: str) -> dict[str, str]:
    """What the Caddyfile has to be told for this version of Caddy."""
    told = subprocess.run([program, "version"], capture_output=True, text=True, check=True)
    version = tuple(map(int, re.findall(r"\d+", told.stdout)[:3]))
    return {"SAGA_GATEWAY_BUFFERS": "buffer_requests"} if version < (2, 6, 3) else {}


def connects(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


class Instance:
    """One `manage.py api`, which can be ended and started again at its port."""

    def __init__(self, service: Service, name: str, **env: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._service = service
        self._state = str(service.folder / name)
        self._env = env
        self.start()

    def start(self) -> None:
        """Start it, and do not wait."""
        self.process = self._service.run(
            "api", PORT=str(self.port), SAGA_STATE_DIR=self._state, **self._env
        )

    def wait_until_ready(self) -> None:
        eventually(self.ready, 30, f"{self.url} is ready")

    def ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/health/ready", timeout=5).ok
        except requests.RequestException:
            return False

    def lists(self) -> float:
        """How many lists of sagas it has answered."""
        text = requests.get(f"{self.url}/metrics", timeout=10).text
        name = "django_http_requests_total_by_view_transport_method_total"
        rows = [row for row in text.splitlines() if row.startswith(name) and "saga-list" in row]
        return sum(float(row.rsplit(" ", 1)[1]) for row in rows if 'method="GET"' in row)


class Deployment:
    """The service with two instances, a worker and the gateway; a context manager."""

    def __init__(self, folder: Path) -> None:
        self.service = Service(
            folder, free_port(), SAGA_API_PROCESSES="1", SAGA_DRAIN_MS=f"{DRAIN * 1000:g}"
        )
        self._caddy_folder = folder / "caddy"
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            opened.enter_context(self.service)
            self.instances = [Instance(self.service, f"instance-{n}") for n in (1, 2)]
            self.worker = self.service.start_worker()
            for instance in self.instances:
                instance.wait_until_ready()
            self._start_gateway(opened)
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._opened.close()

    def _start_gateway(self, opened: ExitStack) -> None:
        origin = f"http://127.0.0.1:{self.service.port}"
        self._caddy_folder.mkdir()
        env = {
            "SAGA_GATEWAY": origin,
            "SAGA_GATEWAY_BIND": "127.0.0.1",
            "SAGA_INSTANCES": " ".join(f"127.0.0.1:{i.port}" for i in self.instances),
            "XDG_DATA_HOME": str(self._caddy_folder),
            "XDG_CONFIG_HOME": str(self._caddy_folder),
        }
        with (self._caddy_folder / "log").open("wb") as log:
            gateway = subprocess.Popen(
                [caddy(), "run", "--config", str(CADDYFILE), "--adapter", "caddyfile"],
                env=os.environ | env,
                stdout=log,
                stderr=log,
            )
        opened.callback(gateway.wait)
        opened.callback(gateway.kill)
        self.service.url = f"{origin}/saga-orchestrator"
        eventually(self.service.ready, 20, "the gateway serves")
