"""Run the workers: Dramatiq with several processes, each with its threads and a sweeper."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from sagas.management import processes


class Command(BaseCommand):
    """`./run worker`."""

    help = "Run the worker processes (SAGA_WORKER_PROCESSES, SAGA_WORKER_THREADS)."

    def handle(self, *args: Any, **options: Any) -> None:
        processes.require_service()
        processes.require_schema()
        # How long an idle thread sleeps before it asks Redis again, in milliseconds.
        os.environ.setdefault("dramatiq_worker_timeout", "100")
        processes.become(
            "dramatiq",
            "sagaproject.worker",
            "--processes",
            str(settings.SAGA_WORKER_PROCESSES),
            "--threads",
            str(settings.SAGA_WORKER_THREADS),
            "--skip-logging",
            # A call in flight ends before its lease does; then the saga is handed back.
            "--worker-shutdown-timeout",
            str(round(settings.SAGA_LEASE * 1000)),
        )
