"""Tells OpenTelemetry of sagas, where its packages are installed and a collector is named.

What was recorded becomes spans after the commit, and is sent by a thread of its own. A collector
that is away costs spans, and nothing else.
"""

from __future__ import annotations

import logging
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING

from django.conf import settings

from executors.tracing import sample_with
from sagas import runtime
from sagas.domain import trace
from sagas.engine.ports import Recorded
from sagas.spans import spans_of

if TYPE_CHECKING:
    from sagas.otlp import Pipeline

logger = logging.getLogger(__name__)

_making = Lock()


def connect() -> None:
    """Send spans of every transition of this process, if they are wanted and can be sent."""
    for problem in settings.SAGA_TRACING_PROBLEMS:
        logger.warning("no spans are sent: %s", problem.message)
    if settings.SAGA_TRACING:
        from sagas import otlp  # noqa: F401  now, as no call is to wait for it later

        runtime.observe(record)
        sample_with(_samples)


def pipeline() -> Pipeline | None:
    """What sends this process's spans; made with the first, as its thread outlives no fork.

    None, after a line in the log, if OpenTelemetry does not take its settings.
    """
    with _making:
        return _made()


@cache
def _made() -> Pipeline | None:
    from sagas.otlp import Pipeline

    try:
        return Pipeline()
    except Exception:
        logger.exception("no spans are sent")
        return None


def _samples(traced: trace.Trace) -> bool:
    to = pipeline()
    return to is None or to.samples(traced)


def record(recorded: Recorded) -> None:
    """Have the spans sent that end with the transition."""
    spans = list(spans_of(recorded))
    to = pipeline() if spans else None
    if to is not None:
        to.add(trace.of_saga(recorded.saga_id, recorded.trace), spans)


def stop() -> None:
    """Send what is left: called when a process ends, and done within two seconds."""
    to = pipeline() if _made.cache_info().currsize else None
    if to is not None:
        to.stop(seconds=2.0)
