"""Starting the service's processes: what `manage.py api` and `manage.py worker` become."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import NoReturn

import psycopg
from django.conf import settings
from django.core import checks
from django.core.management.base import CommandError
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db.migrations.executor import MigrationExecutor

logger = logging.getLogger(__name__)

METRICS_DIR = "PROMETHEUS_MULTIPROC_DIR"


def require_sound_settings() -> None:
    """Log what is unwise; raises CommandError with a line for each setting that is wrong."""
    found = checks.run_checks()
    errors = [_line(each) for each in found if each.level >= checks.ERROR]
    if errors:
        raise CommandError("\n".join(errors))
    for each in found:
        logger.warning(_line(each))


def _line(found: checks.CheckMessage) -> str:
    return f"{found.id}: {found.msg} {found.hint or ''}".rstrip()


def require_service() -> None:
    """Raises CommandError unless several processes can share database and broker."""
    if not settings.SAGA_SHARED_STATE:
        raise CommandError(
            "API and worker processes need PostgreSQL and Redis: set DATABASE_URL (or DB_HOST, "
            "DB_USERNAME, DB_PASSWORD, DB_DATABASE) and REDIS_URL (or REDIS_HOST). "
            "`./run demo` needs neither."
        )


def require_schema() -> None:
    """Raises CommandError if the database cannot be reached or lacks migrations."""
    connection = connections[DEFAULT_DB_ALIAS]
    try:
        if connection.vendor == "postgresql":
            # Without the pool first: it tries for long, and keeps the reason to itself.
            psycopg.connect(**connection.get_connection_params()).close()
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except (OperationalError, psycopg.OperationalError) as error:
        reason = " ".join(str(error).split())
        raise CommandError(f"the database cannot be reached: {reason}") from error
    finally:
        connection.close()
    if missing:
        raise CommandError(
            f"the database lacks {len(missing)} migrations: run `./run manage migrate` first."
        )


def database_trouble(error: Exception) -> CommandError:
    """What a command says when the database failed it."""
    reason = " ".join(str(error).split())
    if "no such table" in reason or "does not exist" in reason:
        return CommandError(f"run `./run manage migrate` first: {reason}")
    return CommandError(f"the database does not answer: {reason}")


def become(*command: str) -> NoReturn:
    """Replace this process by the command; its metrics join those of its siblings.

    Raises CommandError if the folder for the metrics cannot be written.
    """
    if METRICS_DIR not in os.environ:
        # Shared by all processes of this machine, and kept when one of them dies: a counter
        # that shrank would look like a restart to Prometheus.
        folder = Path(settings.STATE_DIR) / "metrics"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CommandError(f"cannot make the folder for metrics: {error}") from error
        os.environ[METRICS_DIR] = str(folder)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", *command])
