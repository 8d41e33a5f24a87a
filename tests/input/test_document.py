"""Requests that schemathesis makes from openapi.yaml, right ones and wrong ones, against the
running service: it answers none with a 5xx, nor with anything that the document does not say, and
it does nothing for those that come without the key that they need.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from sagas.keys import Scope
from tests.acceptance.service import eventually
from tests.api.contract import COMMITTED
from tests.free_port import free_port
from tests.input.guard import Guard, faults

EXAMPLES = int(os.environ.get("SAGA_TEST_EXAMPLES") or 4)
SEED = os.environ.get("SAGA_TEST_SEED") or "1"

pytestmark = [
    pytest.mark.xdist_group("input"),
    pytest.mark.timeout(60 + 10 * EXAMPLES),
]


@pytest.fixture
def closed(guard: Guard, tmp_path: Path) -> Iterator[str]:
    """The address of another API of the same service, one that asks for keys."""
    port, service = free_port(), guard.service
    url = f"http://127.0.0.1:{port}"
    env = {"PORT": str(port), "SAGA_STATE_DIR": str(tmp_path / "state"), "SAGA_API_OPEN": "off"}
    # Without a cache nobody is limited: one address sends more bad keys than clients do.
    process = service.run(
        "api", **env, REDIS_CACHE_URL="redis://127.0.0.1:1/0", SAGA_MAX_WAIT_S="1"
    )

    def ready() -> bool:
        try:
            return requests.get(f"{url}/health/live", timeout=5).ok
        except requests.RequestException:
            return False

    eventually(ready, 30, "the API is ready")
    yield url
    service.end(process)


def key(guard: Guard) -> str:
    """The text of a new key that may do everything."""
    prefix, secret = secrets.token_hex(6), secrets.token_hex(32)
    guard.rows.execute(
        "INSERT INTO sagas_apikey"
        " (name, prefix, digest, scopes, created_at, created_by, revoked_by)"
        " VALUES ('document', %s, %s, %s, now(), 'shell:test', '')",
        [prefix, hashlib.sha256(secret.encode()).hexdigest(), " ".join(Scope)],
    )
    return f"saga_{prefix}_{secret}"


def test_the_service_does_what_the_document_says(guard: Guard, closed: str, tmp_path: Path) -> None:
    settings = Path(__file__).with_name("schemathesis.toml")
    mark = guard.mark()
    found = subprocess.run(
        [
            *(sys.executable, "-c", "from schemathesis.cli import schemathesis as s; s()"),
            *("--config-file", str(settings), "run", str(COMMITTED)),
            *(
                "--url",
                closed,
                "--header",
                f"Authorization: Bearer {key(guard)}",
                "--checks",
                "all",
                "--continue-on-failure",
            ),
            *("--seed", SEED, "--max-examples", str(EXAMPLES), "--no-color"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "Tested: 11" in found.stdout, found.stdout
    assert not faults(guard.since(mark))
    guard.still_serves()
