"""A wrong setting stops the start with one clear line each, in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def check(tmp_path: Path, *options: str, **environ: str) -> tuple[int, list[str], str]:
    """The exit status of `manage.py check`, the ids that it shows, and all that it says."""
    done = subprocess.run(
        [sys.executable, "manage.py", "check", *options],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "SAGA_STATE_DIR": str(tmp_path), **environ},
        capture_output=True,
        text=True,
    )
    said = done.stdout + done.stderr
    return done.returncode, re.findall(r"^\?: \((?:sagas\.)?([\w.]+)\)", said, re.MULTILINE), said


def test_the_seed_s_variables_are_enough(tmp_path):
    status, ids, said = check(
        tmp_path,
        DB_HOST="saga-orchestrator-db",
        DB_PORT="5432",
        DB_USERNAME="saga_user",
        DB_PASSWORD="saga_pass",
        DB_DATABASE="saga_db",
        REDIS_HOST="redis",
        REDIS_PORT="6379",
        NODE_ENV="development",
        PORT="3000",
        LOG_LEVEL="info",
    )
    assert (status, ids) == (0, []), said


def test_each_problem_is_one_line_and_no_secret_is_shown(tmp_path):
    status, ids, said = check(
        tmp_path,
        DATABASE_URL="postgresql://saga:top#secret@db/saga",
        REDIS_URL="redis://:top#secret@redis:6379/0",
        NODE_ENV="production",
        PORT="tcp://10.0.0.1:3000",
        LOG_LEVEL="loud",
        SAGA_MAX_RETRIES="three",
        SAGA_CALL_TIMEOUT_MS="9000",
        PARTICIPANT_INVENTORY_URL="http://user:topsecret@inventory",
        PARTICIPANT_PAYMENT_URL="http://payment",
        PARTICIPANT_PAYMENT_AUTHORIZATION="Bearer top\nsecret",
        CORS_ALLOWED_ORIGINS="*",
    )
    assert status != 0
    assert sorted(ids) == [
        *["E001"] * 3,
        *["E004", "E006", "E007", "E008", "E011", "E014", "E015"],
        "E023",  # sales has no address: one line, whoever calls it
        "W001",  # any host
    ]
    assert "identified 12 issues" in said
    assert "Traceback" not in said
    assert "secret" not in said.replace("DJANGO_SECRET_KEY", "")


PRODUCTION = {
    "SAGA_ENV": "production",
    "DJANGO_SECRET_KEY": "".join(map(chr, range(48, 123))),
    "DATABASE_URL": "postgresql://saga:secret@db/saga",
    "REDIS_URL": "redis://redis:6379/0",
    "ALLOWED_HOSTS": "saga.example.com",
    "PARTICIPANT_INVENTORY_URL": "https://inventory",
    "PARTICIPANT_PAYMENT_URL": "https://payment",
    "PARTICIPANT_PAYMENT_AUTHORIZATION": "Bearer secret-of-payment",
    "PARTICIPANT_SALES_URL": "https://sales",
}


def test_a_production_s_settings_are_fit_to_be_deployed(tmp_path):
    status, ids, said = check(tmp_path, "--deploy", "--fail-level", "WARNING", **PRODUCTION)
    assert (status, ids) == (0, []), said


def test_what_is_unwise_in_production_is_told(tmp_path):
    unwise = {
        "SAGA_TLS": "off",
        "ALLOWED_HOSTS": "*",
        "PARTICIPANT_PAYMENT_URL": "http://payment",
        "PARTICIPANT_PAIMENT_AUTHORIZATION": "Bearer secret-of-nobody",
    }
    status, ids, said = check(tmp_path, "--deploy", **PRODUCTION | unwise)
    assert status == 0
    assert sorted(ids) == [
        *("W001", "W002", "W003"),
        *("security.W004", "security.W010"),  # the session's cookie stands for the others
    ]
    assert "secret-of" not in said


@pytest.mark.parametrize("command", ["migrate", "worker"])
def test_no_other_command_starts_either(tmp_path, command):
    done = subprocess.run(
        [sys.executable, "manage.py", command],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "SAGA_STATE_DIR": str(tmp_path),
            "DATABASE_URL": "nonsense",
        },
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode != 0
    assert "sagas.E004" in done.stderr
    assert "DATABASE_URL is not the address of a PostgreSQL" in done.stderr
    assert "Traceback" not in done.stderr
