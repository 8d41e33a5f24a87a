"""Tells OpenTelemetry of sagas, where its packages are installed and a collector is named.

What was recorded becomes spans after the commit, and is sent by a thread of its own. A collector
that is away costs spans, and nothing else.
"""

from __future__ import annotations

import logging
from functools import cache
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


def connect() -> None:
    """Send spans of every transition of this process, if they are wanted and can be sent."""
    for problem in settings.SAGA_TRACING_PROBLEMS:
        logger.warning("no spans are sent: %s", problem.message)
    if settings.SAGA_TRACING:
        runtime.observe(record)
        sample_with(lambda traced: pipeline().samples(traced))


@cache
def pipeline() -> Pipeline:
    """What sends this process's spans; made with the first, as its thread outlives no fork."""
    from sagas.otlp import Pipeline

    return Pipeline()


def record(recorded: Recorded) -> None:
    """Have the spans sent that end with the transition."""
    spans = list(spans_of(recorded))
    if spans:
        pipeline().add(trace.of_saga(recorded.saga_id, recorded.trace), spans)


def stop() -> None:
    """Send what is left: called when a process ends, and done within two seconds."""
    if pipeline.cache_info().currsize:
        pipeline().stop(seconds=2.0)
