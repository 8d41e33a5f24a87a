"""Run the workers: several processes, each with its threads and a sweeper."""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from sagas.management import processes


class Command(BaseCommand):
    """`./run worker`."""

    requires_system_checks = []  # they are made below, in fewer words
    help = "Run the worker processes (SAGA_WORKER_PROCESSES, SAGA_WORKER_THREADS)."

    def handle(self, *args: Any, **options: Any) -> None:
        processes.require_sound_settings()
        processes.require_service()
        processes.require_schema()
        processes.become(
            "sagas.management.supervisor",
            str(settings.SAGA_WORKER_PROCESSES),
            sys.executable,
            "-m",
            "sagaproject.worker",
        )
