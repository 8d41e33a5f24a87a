"""The HTTP metrics of django_prometheus, with labels that clients cannot multiply."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django_prometheus.middleware import PrometheusAfterMiddleware


class BoundedMetricsMiddleware(PrometheusAfterMiddleware):  # type: ignore[misc]  # no types
    """One of its histograms has the method as the client wrote it; any word is one."""

    def label_metric(
        self, metric: Any, request: HttpRequest, response: Any = None, **labels: Any
    ) -> Any:
        """The metric with its labels."""
        if "method" in labels:
            labels["method"] = self._method(request)
        return super().label_metric(metric, request, response=response, **labels)
