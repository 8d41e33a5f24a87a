"""Structured logs: one JSON object a line, or readable text."""

from __future__ import annotations

import logging
import logging.config
from typing import Any

import structlog


def configure(options: dict[str, Any]) -> None:
    """Send every log record, ours and the libraries', through one formatter to stderr."""
    level = {"warn": "WARNING"}.get(options["level"], options["level"].upper())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if options["format"] == "json":
        # JSON escapes line ends, so that data can never forge a log line.
        render: list[Any] = [
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(),
        ]
    else:
        # A plain traceback: the rich one prints every local variable, secrets included.
        plain = structlog.dev.plain_traceback
        render = [structlog.dev.ConsoleRenderer(colors=False, exception_formatter=plain)]
    _route(level, shared, render)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _route(level: str, shared: list[Any], render: list[Any]) -> None:
    """Set the standard library's logging up."""
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": shared,
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
    }
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"main": formatter},
            "handlers": {"main": {"class": "logging.StreamHandler", "formatter": "main"}},
            "root": {"handlers": ["main"], "level": level},
            "loggers": {
                "django.request": {"level": "ERROR"},
                "dramatiq": {"level": "WARNING"},
                # Whoever wanted the connection is told, and says so.
                "psycopg.pool": {"level": "ERROR"},
            },
        }
    )
