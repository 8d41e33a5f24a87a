"""Run the workers: several processes, each with its threads and a sweeper."""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from sagas.management import processes


class Command(BaseCommand):
    """`./run worker`.

    The workers of a machine that have the same port for their metrics share one folder for them;
    without a port they use the API's, which then answers for them, too.
    """

    requires_system_checks = []  # they are made below, in fewer words
    help = (
        "Run the worker processes (SAGA_WORKER_PROCESSES, SAGA_WORKER_THREADS); their metrics are "
        "at SAGA_METRICS_PORT."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        processes.require_sound_settings()
        processes.require_service()
        processes.require_schema()
        port = settings.SAGA_METRICS_PORT
        processes.become(
            f"worker-{port}" if port else processes.api_instance(f":{settings.PORT}"),
            "sagas.management.supervisor",
            str(settings.SAGA_WORKER_PROCESSES),
            f"{settings.SAGA_METRICS_BIND}:{port}",
            sys.executable,
            "-m",
            "sagaproject.worker",
        )
