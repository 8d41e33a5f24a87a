"""API and worker in one process, on a SQLite file: what the demo starts."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import Any

import waitress
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.servers.basehttp import get_internal_wsgi_application
from dramatiq import Worker

from sagas import tracing
from sagas.broker import broker
from sagas.domain.state import SagaStatus
from sagas.management import processes
from sagas.models import Saga

_API_THREADS = 16
_WORKER_THREADS = 4  # SQLite has one writer: more would only queue behind it


class Command(BaseCommand):
    """Serves until SIGTERM or SIGINT; prints one JSON line when it is ready."""

    help = "Serve the API and drive sagas in this one process (the demo starts it)."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=settings.PORT, help="0: any free port")
        parser.add_argument("--login", help="make this superuser; password: SAGA_DEMO_PASSWORD")
        parser.add_argument(
            "--exit-with-parent-pipe",
            action="store_true",
            help="exit when standard input ends, that is with whoever holds its other end",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["exit_with_parent_pipe"]:
            threading.Thread(target=_exit_at_end_of_input, daemon=True).start()
        signal.signal(signal.SIGTERM, _leave)
        _require_sound_settings()
        call_command("migrate", verbosity=0)
        if options["login"]:
            _make_login(options["login"], os.environ["SAGA_DEMO_PASSWORD"])
        try:
            server = waitress.create_server(
                get_internal_wsgi_application(),
                host=options["host"],
                port=options["port"],
                threads=_API_THREADS,
            )
        except OSError as error:
            where = f"{options['host']}:{options['port']}"
            raise CommandError(f"cannot listen on {where}: {error.strerror}; try --port") from error
        unfinished = _unfinished()
        worker = Worker(broker, worker_threads=_WORKER_THREADS, worker_timeout=100)
        worker.start()
        try:
            url = f"http://{server.effective_host}:{server.effective_port}"
            _say({"url": url, "unfinished": unfinished, "numbers": _numbers()})
            server.run()
        finally:
            worker.stop()
            tracing.stop()


def _require_sound_settings() -> None:
    """Raises CommandError, in few lines."""
    if settings.SAGA_SHARED_STATE:
        raise CommandError("REDIS_URL or REDIS_HOST is set: use `./run api` and `./run worker`.")
    processes.require_sound_settings()


def _make_login(name: str, password: str) -> None:
    users = get_user_model().objects
    user = users.filter(username=name).first() or users.create_superuser(name)
    if not user.check_password(password):  # set only when needed: it ends the user's sessions
        user.set_password(password)
        user.save()


def _unfinished() -> list[dict[str, object]]:
    """The sagas that an earlier process left in progress, before anybody goes on with them."""
    sagas = Saga.objects.filter(status=SagaStatus.IN_PROGRESS.value).order_by("id")
    return [{"id": str(saga.id), "seq": saga.seq} for saga in sagas.only("id", "seq")]


def _numbers() -> dict[str, float]:
    return {
        "max_retries": settings.SAGA_RETRY["max_retries"],
        "retry_delay": settings.SAGA_RETRY["delay"],
        "multiplier": settings.SAGA_RETRY["multiplier"],
        "call_timeout": settings.SAGA_CALL_TIMEOUT,
        "lease": settings.SAGA_LEASE,
        "sweep_interval": settings.SAGA_SWEEP_INTERVAL,
    }


def _say(fields: dict[str, object]) -> None:
    print(json.dumps(fields), flush=True)


def _leave(number: int, frame: object) -> None:
    sys.exit(0)


def _exit_at_end_of_input() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)
