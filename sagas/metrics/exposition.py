"""What /metrics answers: what this instance's processes counted, and how all things stand now."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from sagas.metrics import standing
from sagas.metrics.counting import begin
from sagas.metrics.looking import Look

CONTENT_TYPE = CONTENT_TYPE_LATEST

_PATIENCE = 2.0
"""Seconds that a scrape waits at most for servers that do not answer; Prometheus waits for 10."""


class _Standing(Collector):
    """How things stand, as far as the servers answer; and which of them do."""

    def __init__(self) -> None:
        self._looks = (
            Look("database", standing.of_database),
            Look("cache", standing.of_cache),
            Look("broker", standing.of_broker),
        )

    def collect(self) -> Iterable[Metric]:
        until = time.monotonic() + _PATIENCE
        up = GaugeMetricFamily(
            "saga_dependency_up", "1 while it answers this process.", labels=["dependency"]
        )
        for look in self._looks:
            look.begin()
        for look in self._looks:
            found = look.found(until)
            up.add_metric([look.name], float(found is not None))
            yield from found or ()
        yield up


_standing = CollectorRegistry()
_standing.register(_Standing())


def exposition() -> bytes:
    """The metrics as text; at once, whatever is away."""
    begin()
    counted = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        counted = CollectorRegistry()
        MultiProcessCollector(counted)  # type: ignore[no-untyped-call]
    return generate_latest(counted) + generate_latest(_standing)
