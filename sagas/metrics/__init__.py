"""Prometheus metrics: what happened is counted, how things stand is read when somebody asks."""

from sagas.metrics.counting import begin, connect, count
from sagas.metrics.exposition import CONTENT_TYPE, exposition

__all__ = ["CONTENT_TYPE", "begin", "connect", "count", "exposition"]
