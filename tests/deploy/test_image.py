"""The image: what a container would run, run here as it would be."""

import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

from tests.acceptance.service import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_hadolint_finds_nothing() -> None:
    found = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert found, "it is a development requirement"
    subprocess.run([found, str(ROOT / "Dockerfile")], check=True, timeout=60)


def test_it_runs_as_nobody_who_could_do_harm() -> None:
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.M)[-1] == "10001:10001"
    assert DOCKERFILE.index("USER") > DOCKERFILE.rindex("RUN")


def test_it_holds_the_code_and_no_more() -> None:
    patterns = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]

    def left_out(path: Path) -> bool:
        parts = [path, *path.parents][:-1]
        return any(
            fnmatch(str(p), pattern.removeprefix("**/")) for p in parts for pattern in patterns
        )

    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    ).stdout.splitlines()
    kept = {Path(path).parts[0] for path in listed if not left_out(Path(path))}
    assert kept == {"executors", "manage.py", "requirements", "sagaproject", "sagas", "shop"} | {
        "templates"
    }
    for secret in (".env", ".state/secret-key", "db.sqlite3"):
        assert left_out(Path(secret))


def test_the_health_check_tells_life_from_death(tmp_path: Path) -> None:
    [script] = re.findall(r'"-c", "(.+)"\]', DOCKERFILE)
    assert "/health/live" in script
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=30)
    assert done.returncode == 1, "nothing listens at port 3000 of a test"


def test_the_commands_start_without_home_or_a_place_to_write(tmp_path: Path) -> None:
    """As uid 10001 where that is possible: the code is read, and nothing beside it is made."""
    environment = dict(re.findall(r"(\w+)=([^\s\\]+)", DOCKERFILE.split("ENV ")[1].split("RUN")[0]))
    environment |= {
        "PATH": os.environ["PATH"],
        "SAGA_STATE_DIR": str(tmp_path / "none"),
        "DJANGO_SECRET_KEY": "a key for this test alone, and long enough to be taken",
        "PARTICIPANT_INVENTORY_URL": "http://inventory",
        "PARTICIPANT_PAYMENT_URL": "http://payment",
        "PARTICIPANT_SALES_URL": "http://sales",
        "ALLOWED_HOSTS": "localhost",
        "DATABASE_URL": "postgresql://u:p@127.0.0.1:1/d",
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "api"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "the database cannot be reached" in done.stderr
    assert not (tmp_path / "none").exists()
