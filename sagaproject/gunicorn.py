"""Gunicorn's settings for the API."""

from __future__ import annotations

import gc
import itertools
import logging
import os
import signal
from types import FrameType
from typing import Any

from django.conf import settings
from gunicorn import glogging
from prometheus_client import values

from sagaproject import draining
from sagas.management.careful import count_carefully
from sagas.management.counts import VARIABLE


class Logger(glogging.Logger):  # type: ignore[misc]
    """Sends gunicorn's own lines through the service's formatter, like all others."""

    def setup(self, cfg: Any) -> None:
        """Set the level; what writes the lines is set up by Django."""
        super().setup(cfg)
        for handler in list(self.error_log.handlers):
            self.error_log.removeHandler(handler)
        self.error_log.propagate = True


_place = f"{os.getpid()}"
"""Of this process among those of the instance."""

# Before the application makes the first metric. Who takes a dead process's place goes on with its
# numbers: else each that dies would leave files of its own.
count_carefully()
if VARIABLE in os.environ:
    values.ValueClass = values.MultiProcessValue(lambda: _place)  # type: ignore[no-untyped-call]

workers = settings.SAGA_API_PROCESSES
worker_class = "sagaproject.api_worker.ApiWorker"
threads = settings.SAGA_API_THREADS
# Loaded once, before the fork, so that the processes share its memory.
preload_app = True
timeout = 60
graceful_timeout = 30 + round(settings.SAGA_DRAIN)
# Longer than gateways keep an idle connection: they end it, or a request may meet its end.
keepalive = 30
# Else each instance wants a socket of the same name in its user's home.
control_socket_disable = True
accesslog = None
errorlog = "-"
logger_class = Logger
# Django alone decides whom it believes that a request came by TLS (SAGA_TLS).
secure_scheme_headers: dict[str, str] = {}
# Nobody says in a header what the path is: a gateway on this machine may pass a client's own on.
forwarder_headers = ""
loglevel = "warning"


def when_ready(server: Any) -> None:
    """Keep the collector from copying the pages that processes share; say that all is ready."""
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGTERM, lambda number, frame: _told_to_stop(server, number, frame))
    logging.getLogger("sagas.api").info("API ready at %s:%s", *server.address[0][:2])


def worker_exit(server: Any, worker: Any) -> None:
    """Send the process's last spans."""
    from sagas import tracing  # after the fork

    tracing.stop()


def _told_to_stop(server: Any, number: int, frame: FrameType | None) -> None:
    """The first SIGTERM ends all in order, the next one at once, as SIGINT does."""
    signal.signal(signal.SIGTERM, lambda _, frame: server.signal(signal.SIGINT, frame))
    server.signal(number, frame)


def on_reload(server: Any) -> None:
    """The processes that there are have successors: the instance goes on being ready."""
    draining.replace_up_to(server.worker_age)


def pre_fork(server: Any, worker: Any) -> None:
    """Give the process the first place that is free."""
    taken = {each.place for each in server.WORKERS.values()}
    worker.place = next(place for place in itertools.count() if place not in taken)


def post_fork(server: Any, worker: Any) -> None:
    """Count at that place."""
    global _place
    _place = f"{server.pid}-{worker.place}"
