"""Spans by OTLP to a collector, as OpenTelemetry's own variables say.

The SDK makes ids of its own and ends a span in the process that began it; spans of sagas are begun
and ended by different processes, and have derived ids. So they are handed to its exporter as they
are.
"""

from __future__ import annotations

import atexit
from collections.abc import Iterable
from datetime import datetime
from threading import Thread

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from sagas.domain.trace import Trace
from sagas.spans import Span

_SCOPE = InstrumentationScope("sagas")
_NAME = "saga-orchestrator"


class Pipeline:
    """Chooses the traces that are recorded, and sends their spans in batches."""

    def __init__(self, exporter: SpanExporter | None = None) -> None:
        # Only for what it reads from the environment: the sampler, and what names this service.
        provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._sampler, self._resource = provider.sampler, provider.resource
        self._processor = BatchSpanProcessor(exporter or OTLPSpanExporter())
        atexit.register(self._processor.shutdown)  # for whoever does not stop it; once is enough

    def samples(self, trace: Trace) -> bool:
        """Whether the trace is recorded; all processes with the same settings say the same."""
        context = Context()
        if trace.parent:
            client = NonRecordingSpan(_context(trace, trace.parent, remote=True))
            context = set_span_in_context(client, context)
        chosen = self._sampler.should_sample(context, int(trace.trace_id, 16), "saga").decision
        return chosen is not Decision.DROP

    def add(self, trace: Trace, spans: Iterable[Span]) -> None:
        """Have the spans sent soon, if their trace is recorded."""
        if self.samples(trace):
            for span in spans:
                self._processor.on_end(self._readable(trace, span))

    def stop(self, *, seconds: float) -> None:
        """Send what is left, and wait for that, but not longer."""
        thread = Thread(target=self._processor.shutdown, daemon=True)
        thread.start()
        thread.join(seconds)

    def _readable(self, trace: Trace, span: Span) -> ReadableSpan:
        end = _nanoseconds(span.end)
        parent = None
        if span.parent:
            parent = _context(trace, span.parent, remote=span.parent == trace.parent)
        return ReadableSpan(
            name=span.name,
            context=_context(trace, span.id, flags=TraceFlags.SAMPLED),
            parent=parent,
            resource=self._resource,
            attributes=span.attributes,
            events=[Event(name, about, timestamp=end) for name, about in span.events.items()],
            kind=SpanKind.CLIENT if span.calls else SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR if span.failed else StatusCode.UNSET),
            start_time=_nanoseconds(span.start),
            end_time=end,
            instrumentation_scope=_SCOPE,
        )


def _resource() -> Resource:
    found = Resource.create()
    if str(found.attributes[SERVICE_NAME]).startswith("unknown_service"):
        return found.merge(Resource({SERVICE_NAME: _NAME}))
    return found


def _context(
    trace: Trace, span: str, *, remote: bool = False, flags: int | None = None
) -> SpanContext:
    return SpanContext(
        trace_id=int(trace.trace_id, 16),
        span_id=int(span, 16),
        is_remote=remote,
        trace_flags=TraceFlags(trace.flags if flags is None else flags),
        trace_state=TraceState.from_header([trace.state]) if trace.state else None,
    )


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000
