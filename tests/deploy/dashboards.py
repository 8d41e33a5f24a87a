"""The Grafana dashboards as files, and the names of metrics in expressions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.deploy.prometheus import DEPLOY

FILES = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))

_LABELS = re.compile(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(?:by|without|on|ignoring)\s*\([^)]*\)')
_FUNCTION = re.compile(r"\b[a-z_0-9]+\s*\(")
_NAME = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_WORDS = {"and", "or", "unless", "bool"}


@dataclass(frozen=True, slots=True)
class Query:
    """An expression of a panel, and where it stands."""

    board: str
    panel: str
    expression: str
    instant: bool

    def __str__(self) -> str:
        return f"{self.board}: {self.panel}"

    def filled(self) -> str:
        """The expression with the variables as Grafana fills them in, for short times."""
        filled = self.expression.replace("$type", ".*")
        return filled.replace("$__rate_interval", "20s").replace("$__range", "60s")


def panels(path: Path) -> list[dict[str, Any]]:
    """The panels of a dashboard that show something."""
    found: list[dict[str, Any]] = json.loads(path.read_text())["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def queries() -> Iterator[Query]:
    """Every query of every panel of every dashboard."""
    for path in FILES:
        for panel in panels(path):
            for target in panel["targets"]:
                yield Query(path.stem, panel["title"], target["expr"], target["instant"])


def names(expression: str) -> set[str]:
    """The metrics that an expression reads."""
    return set(_NAME.findall(_FUNCTION.sub(" ", _LABELS.sub(" ", expression)))) - _WORDS
