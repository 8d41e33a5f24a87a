"""`explore_saga` at the shell: a scratch database, the table, and clear complaints."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def explore(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    unwanted = ("DB_", "DATABASE_", "REDIS_", "SAGA_")
    usual = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return subprocess.run(
        [sys.executable, "manage.py", "explore_saga", *arguments],
        cwd=ROOT,
        env=usual | {"SAGA_STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_it_prints_each_point_with_its_verdict_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = explore(tmp_path, "purchase_saga", "--scenario", "forward", "--every", "21")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "forward: 53 boundaries, 7 runs, 7 as promised"
    assert lines[1].split() == ["no", "crash", "completed", "5", "calls", "1", "claims", "ok"]
    assert lines[2].startswith("  before   1 select the time ")
    assert lines[-1] == "7 runs, all of them as promised"
    assert [path.name for path in tmp_path.iterdir() if "explore" in path.name] == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nope"], "no saga type 'nope' in that version; there are: purchase_saga, return_saga"),
        (["purchase_saga", "--definition-version", "9"], "no saga type 'purchase_saga' in that"),
        (
            ["purchase_saga", "--scenario", "nope"],
            "no scenario 'nope'; there are: forward, retried",
        ),
        (["purchase_saga", "--data", "nowhere.json"], "nowhere.json: No such file"),
        (["purchase_saga", "--every", "0"], "0 is not above zero"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(
    tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    done = explore(tmp_path, *arguments)
    assert done.returncode != 0
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_data_that_does_not_fit_is_told(tmp_path: Path) -> None:
    data = tmp_path / "data.json"
    data.write_text('{"store_id": 0}')
    done = explore(tmp_path, "purchase_saga", "--data", str(data))
    assert done.returncode == 1
    assert 'the data does not fit: {"store_id"' in done.stderr
