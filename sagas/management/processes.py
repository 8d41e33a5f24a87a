"""Starting the service's processes: what `manage.py api` and `manage.py worker` become."""

from __future__ import annotations

import logging
import os
import re
import socket
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


def become(instance: str, *command: str) -> NoReturn:
    """Replace this process by the command; its metrics are those of the service instance.

    PROMETHEUS_MULTIPROC_DIR, where it is set, is the instance's folder for them. Raises
    CommandError if that cannot be written.
    """
    from sagas.management import counts  # needs fcntl, as only the service does

    named = os.environ.get(counts.VARIABLE)
    # By host, too: containers may share a state folder, and their process ids are the same.
    own = Path(settings.STATE_DIR) / "metrics" / f"{instance}.{socket.gethostname()}"
    folder = Path(named) if named else own
    try:
        counts.share(folder)
    except OSError as error:
        raise CommandError(f"cannot use the folder for metrics: {error}") from error
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", *command])


def api_instance(bind: str) -> str:
    """What the metrics of the API at an address are kept under: one for each port."""
    return "api-" + re.sub(r"[^0-9A-Za-z.-]+", "-", bind.rpartition(":")[2])
