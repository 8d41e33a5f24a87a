"""docker-compose.yml, as the tests read it."""

from __future__ import annotations

import functools
from typing import Any

import yaml

from tests.acceptance.service import ROOT

COMPOSE = ROOT / "docker-compose.yml"


@functools.cache
def services() -> dict[str, Any]:
    """The services with what they merge in; variables as they are written."""
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found
