"""The gateway and an instance that went away before a look at its health told of it."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests

from tests.acceptance.service import eventually
from tests.deploy.gateway import CADDYFILE, caddy, connects, directives
from tests.free_port import free_port

PROGRAMS = sorted({caddy(), shutil.which("caddy", path="/usr/bin") or caddy()})
"""Debian's too, where it is installed: it is older by years."""


class Echo(BaseHTTPRequestHandler):
    """Answers with what was sent."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def instance() -> Iterator[int]:
    """The port of one that lives."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_is_posted_to_one_that_is_gone_gets_to_the_other(
    instance: int, tmp_path: Path, program: str
) -> None:
    port = free_port()
    env = os.environ | {
        "SAGA_GATEWAY": f"http://127.0.0.1:{port}",
        "SAGA_GATEWAY_BIND": "127.0.0.1",
        "SAGA_INSTANCES": f"127.0.0.1:{free_port()} 127.0.0.1:{instance}",
        "HOME": str(tmp_path),
        **directives(program),
    }
    command = [program, "adapt", "--config", str(CADDYFILE), "--adapter", "caddyfile"]
    adapted = subprocess.run(command, env=env, capture_output=True, check=True, timeout=60)
    config = tmp_path / "caddy.json"
    config.write_text(json.dumps(_without_health_checks(json.loads(adapted.stdout))))
    with (tmp_path / "log").open("wb") as log:
        command = [program, "run", "--config", str(config)]
        gateway = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    try:
        eventually(lambda: connects(port), 20, "the gateway serves")
        url = f"http://127.0.0.1:{port}/saga-orchestrator/api/v1/sagas"
        for body in (b"{}", b"x" * 1_000_000) * 2:
            answer = requests.post(url, data=body, timeout=20)
            assert (answer.status_code, answer.content) == (201, body)
    finally:
        gateway.kill()
        gateway.wait()


def _without_health_checks(node: Any) -> Any:
    if isinstance(node, list):
        return [_without_health_checks(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {k: _without_health_checks(v) for k, v in node.items() if k != "health_checks"}
