"""Run the API: gunicorn with several processes."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from sagas.management import processes


class Command(BaseCommand):
    """`./run api`."""

    requires_system_checks = []  # they are made below, in fewer words
    help = "Run the API processes (SAGA_API_PROCESSES, SAGA_API_THREADS, PORT)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--bind", default=f"127.0.0.1:{settings.PORT}")

    def handle(self, *args: Any, **options: Any) -> None:
        processes.require_sound_settings()
        processes.require_service()
        processes.require_schema()
        processes.become(
            processes.api_instance(options["bind"]),
            "gunicorn",
            "--config",
            "python:sagaproject.gunicorn",
            "--bind",
            options["bind"],
            "sagaproject.wsgi:application",
        )
