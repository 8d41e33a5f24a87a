"""Gunicorn's settings for the API."""

from __future__ import annotations

import gc
import logging
from typing import Any

from django.conf import settings
from gunicorn import glogging
from prometheus_client.multiprocess import mark_process_dead


class Logger(glogging.Logger):  # type: ignore[misc]
    """Sends gunicorn's own lines through the service's formatter, like all others."""

    def setup(self, cfg: Any) -> None:
        """Set the level; what writes the lines is set up by Django."""
        super().setup(cfg)
        for handler in list(self.error_log.handlers):
            self.error_log.removeHandler(handler)
        self.error_log.propagate = True


workers = settings.SAGA_API_PROCESSES
worker_class = "sagaproject.api_worker.ApiWorker"
threads = settings.SAGA_API_THREADS
# Loaded once, before the fork, so that the processes share its memory.
preload_app = True
timeout = 60
graceful_timeout = 30
keepalive = 30
accesslog = None
errorlog = "-"
logger_class = Logger
# Django alone decides whom it believes that a request came by TLS (SAGA_TLS).
secure_scheme_headers: dict[str, str] = {}
loglevel = "warning"


def when_ready(server: Any) -> None:
    """Keep the collector from copying the pages that processes share; say that all is ready."""
    gc.collect()
    gc.freeze()
    logging.getLogger("sagas.api").info("API ready at %s:%s", *server.address[0][:2])


def worker_exit(server: Any, worker: Any) -> None:
    """Send the process's last spans."""
    from sagas import tracing  # after the fork

    tracing.stop()


def child_exit(server: Any, worker: Any) -> None:
    """Take a dead process's live gauges out of the metrics; its counters stay."""
    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
