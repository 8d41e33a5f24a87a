"""What a participant is told of the trace that a call is part of."""

from __future__ import annotations

from collections.abc import Callable

from sagas.domain.trace import Trace

_sampled: Callable[[Trace], bool] | None = None


def sample_with(sampled: Callable[[Trace], bool] | None) -> None:
    """Say which of the traces that sagas begin are recorded; without, participants may."""
    global _sampled
    _sampled = sampled


def trace_headers(trace: Trace, span: str) -> dict[str, str]:
    """The headers of a call that is this span of the trace (W3C trace context)."""
    unwanted = _sampled is not None and not trace.parent and not _sampled(trace)
    headers = {"traceparent": (trace.unsampled if unwanted else trace).header(span)}
    if trace.state:
        headers["tracestate"] = trace.state
    return headers
