"""Requests that schemathesis makes from openapi.yaml, right ones and wrong ones, against the
running service: it answers none with a 5xx, nor with anything that the document does not say.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.contract import COMMITTED
from tests.input.guard import Guard, faults

EXAMPLES = int(os.environ.get("SAGA_TEST_EXAMPLES") or 6)
SEED = os.environ.get("SAGA_TEST_SEED") or "1"

pytestmark = [
    pytest.mark.xdist_group("input"),
    pytest.mark.timeout(60 + 10 * EXAMPLES),
]


def test_the_service_does_what_the_document_says(guard: Guard, tmp_path: Path) -> None:
    settings = Path(__file__).with_name("schemathesis.toml")
    mark = guard.mark()
    found = subprocess.run(
        [
            *(sys.executable, "-c", "from schemathesis.cli import schemathesis as s; s()"),
            *("--config-file", str(settings), "run", str(COMMITTED)),
            *("--url", guard.service.url, "--checks", "all", "--continue-on-failure"),
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
