"""Demos as processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.demo.process import Demo

Start = Callable[..., Demo]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a demo, with its state in the test's own folder unless told otherwise."""
    started: list[Demo] = []

    def start(*options: str, state: Path = tmp_path / "state") -> Demo:
        started.append(Demo(tmp_path, state, options))
        return started[-1]

    yield start
    for demo in started:
        demo.close()
