"""A collector: a real HTTP server that takes OTLP, decodes the protobuf, and remembers what it was told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import attrs
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@attrs.define(eq=False)
class Heard:
    """What a collector heard: the messages, and their bytes."""

    url: str = ""
    traces: list[ExportTraceServiceRequest] = attrs.field(factory=list)
    metrics: list[ExportMetricsServiceRequest] = attrs.field(factory=list)
    raw: list[bytes] = attrs.field(factory=list)
    status: int = 200
    told: threading.Event = attrs.field(factory=threading.Event)
    """Set with every message."""

    @property
    def spans(self) -> list[Any]:
        """Every span, in the order in which they came."""
        return [
            span
            for message in self.traces
            for about in message.resource_spans
            for scope in about.scope_spans
            for span in scope.spans
        ]

    @property
    def resources(self) -> list[dict[str, Any]]:
        """What was said of whoever told, with every message."""
        told: list[Any] = [about for traces in self.traces for about in traces.resource_spans]
        told += [about for metrics in self.metrics for about in metrics.resource_metrics]
        return [attributes(about.resource) for about in told]

    @property
    def figures(self) -> dict[str, Any]:
        """The latest of each metric, by name."""
        return {
            metric.name: metric
            for message in self.metrics
            for about in message.resource_metrics
            for scope in about.scope_metrics
            for metric in scope.metrics
        }


def attributes(of: Any) -> dict[str, Any]:
    """Return the attributes of a span, a point or a resource."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in of.attributes}


@contextmanager
def collecting(status: int = 200) -> Iterator[Heard]:
    """Run a collector that answers with `status`."""
    heard = Heard(status=status)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            heard.raw.append(str(self.headers).encode() + body)
            if self.path == "/v1/traces":
                heard.traces.append(ExportTraceServiceRequest.FromString(body))
            elif self.path == "/v1/metrics":
                heard.metrics.append(ExportMetricsServiceRequest.FromString(body))
            self.send_response(heard.status)
            self.send_header("content-length", "0")
            self.end_headers()
            heard.told.set()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    heard.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
