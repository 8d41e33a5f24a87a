"""Structured logs: one JSON object a line, or readable text."""

from __future__ import annotations

import json
import logging
import logging.config
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO

import structlog

from sagas.text import one_line


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
        formatter: dict[str, Any] = {"()": Json}
    else:
        # A plain traceback: the rich one prints every local variable, secrets included.
        render = [
            _printable,
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=_traceback),
        ]
        formatter = {
            "()": structlog.stdlib.ProcessorFormatter,
            "foreign_pre_chain": shared,
            "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        }
    # Neither style shows them.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    _route(level, formatter)


class Json(logging.Formatter):
    """A record as one JSON object; at a quarter of what structlog's chain of processors takes.

    JSON escapes line ends, so that data can never forge a log line.
    """

    _standard = frozenset(vars(logging.makeLogRecord({})))
    _encode = json.JSONEncoder(default=repr).encode

    def format(self, record: logging.LogRecord) -> str:
        """Its fields: those bound to the thread, what it is, its own, when, and what it says."""
        fields = structlog.contextvars.get_contextvars()
        if record.stack_info:
            fields = {"stack_info": record.stack_info, **fields}
        fields["level"] = record.levelname.lower()
        fields["logger"] = record.name
        for name, value in vars(record).items():
            if name not in self._standard:
                fields[name] = value
        fields["timestamp"] = f"{datetime.now(UTC).replace(tzinfo=None).isoformat()}Z"
        if record.exc_info:
            fields["exc_info"] = record.exc_info
            structlog.processors.format_exc_info(None, "", fields)
        fields["message"] = record.getMessage()
        return self._encode(fields)


def _printable(logger: Any, method: str, event: MutableMapping[str, Any]) -> Any:
    """Escape what would start a line of its own or steer a terminal."""
    for name, value in event.items():
        if isinstance(value, str) and name != "exception":
            event[name] = one_line(value)
    return event


def _traceback(stream: TextIO, error: Any) -> None:
    """A traceback whose lines are indented, so that none of a message looks like a log line."""
    for line in "".join(traceback.format_exception(*error)).splitlines():
        stream.write(f"    {one_line(line)}\n")


class _ClientsFault(logging.Filter):
    """Requests that Django refuses as suspicious, such as one for a host that is not ours.

    Anybody can send them: they are worth a warning, not an error and a traceback each.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("django.security.") and record.levelno > logging.WARNING:
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            record.exc_info = record.exc_text = None
        return True


def _route(level: str, formatter: dict[str, Any]) -> None:
    """Set the standard library's logging up."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"main": formatter},
            "filters": {"clients": {"()": _ClientsFault}},
            "handlers": {
                "main": {
                    "class": "logging.StreamHandler",
                    "formatter": "main",
                    "filters": ["clients"],
                }
            },
            "root": {"handlers": ["main"], "level": level},
            "loggers": {
                "django.request": {"level": "ERROR"},
                "dramatiq": {"level": "WARNING"},
                # A line for spans that were lost is enough; each try would have one.
                "opentelemetry": {"level": "ERROR"},
            },
        }
    )
