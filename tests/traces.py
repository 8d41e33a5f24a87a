"""What participants are told of traces, and a collector that takes OpenTelemetry's spans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self
from urllib.parse import urlsplit

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.proxy import Proxy


@contextmanager
def proxies(urls: Mapping[str, str]) -> Iterator[dict[str, Proxy]]:
    """A proxy in front of each service, which notes what is sent to it."""
    with ExitStack() as stack:
        made = {}
        for name, url in urls.items():
            host, port = urlsplit(url).hostname, urlsplit(url).port
            assert host is not None
            assert port is not None
            made[name] = stack.enter_context(Proxy(host, port))
        yield made


def sent(through: Iterable[Proxy], saga_id: object) -> list[dict[str, str]]:
    """The headers of the saga's calls, by name in lower case; in order for each service."""
    calls = [_headers(raw) for proxy in through for raw in list(proxy.requests)]
    return [headers for headers in calls if headers.get("saga-id") == str(saga_id)]


def _headers(raw: bytes) -> dict[str, str]:
    lines = raw.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


@dataclass(frozen=True)
class Sent:
    """A span as it arrived."""

    service: str
    name: str
    trace_id: str
    id: str
    parent: str
    start: int
    end: int
    kind: int
    failed: bool
    attributes: dict[str, Any]
    events: list[str]


class Collector:
    """Stands in for a collector: takes OTLP over HTTP on loopback, and keeps the spans."""

    def __init__(self) -> None:
        self.spans: list[Sent] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def of(self, saga_id: object) -> list[Sent]:
        """The spans of the saga that came so far."""
        wanted = str(saga_id)
        return [span for span in list(self.spans) if span.attributes.get("saga.id") == wanted]

    def take(self, body: bytes) -> None:
        """Keep what a request brings."""
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = _values(resource.resource.attributes)["service.name"]
            for scope in resource.scope_spans:
                self.spans += [_span(service, span) for span in scope.spans]


def tree(spans: list[Sent], parent: str) -> Sent:
    """The one span below the parent, after checking that all others hang together below it."""
    by_id = {span.id: span for span in spans}
    assert len(by_id) == len(spans), "a span came twice"
    [root] = [span for span in spans if span.parent == parent]
    for span in spans:
        assert span.start <= span.end, span
        if span is not root:
            above = by_id[span.parent]
            assert above.start <= span.start, (above, span)
            assert span.end <= above.end, (above, span)
    return root


def _span(service: str, span: Any) -> Sent:
    return Sent(
        service=service,
        name=span.name,
        trace_id=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        kind=span.kind,
        failed=span.status.code == 2,
        attributes=_values(span.attributes),
        events=[event.name for event in span.events],
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


def _handler(collector: Collector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            collector.take(self.rfile.read(int(self.headers["Content-Length"])))
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
