"""A line of JSON is what structlog's processors make of the record, field for field."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest
import structlog
from structlog.contextvars import bound_contextvars

from sagaproject.logs import Json

CHAIN = structlog.stdlib.ProcessorFormatter(
    foreign_pre_chain=[
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ],
    processors=[
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(),
    ],
)


def record(
    *,
    level: int = logging.INFO,
    msg: str = "it %s",
    args: tuple[object, ...] = ("is",),
    exc_info: Any = None,
    extra: dict[str, object] | None = None,
    stack: str | None = None,
) -> logging.LogRecord:
    make = logging.getLogger().makeRecord
    return make("sagas", level, "f", 1, msg, args, exc_info, extra=extra, sinfo=stack)


def error() -> Any:
    try:
        raise ValueError("line\nend")
    except ValueError:
        return sys.exc_info()


@pytest.mark.parametrize(
    "made",
    [
        record(),
        record(level=logging.WARNING, msg="100 %", args=()),
        record(level=logging.ERROR, exc_info=error(), extra={"step": "pay", "attempt": 1}),
        record(exc_info=(None, None, None)),
        record(extra={"saga_id": "its own", "request": object(), "timestamp": "x", "level": "y"}),
        record(msg='forged\r\n{"a": "\x1b[2J\u2028é"}', args=(), stack="Stack:\n  here"),
        record(level=25),
    ],
)
def test_a_line(made: logging.LogRecord) -> None:
    with bound_contextvars(saga_id="bound", trace_id="t"):
        fields, expected = Json().format(made), CHAIN.format(made)
    found = json.loads(expected)
    assert list(json.loads(fields)) == list(found), "in the same order"
    assert len(json.loads(fields)["timestamp"]) == len(found["timestamp"])
    assert json.loads(fields) | {"timestamp": 0} == found | {"timestamp": 0}
    assert fields.isascii()
    assert "\n" not in fields
