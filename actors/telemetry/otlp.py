"""The one door to OpenTelemetry: spans and figures as OTLP over HTTP, to the endpoint that the settings name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from time import time_ns
from typing import Any, Final

from actors.figures import Figure, Kind
from actors.mailbox import Trace
from actors.meter import BOUNDS_S
from actors.observing import Ended
from actors.telemetry.headers import Headers
from helm import __version__
from helm.contracts.errors import Invalid
from helm.interop.attributes import DECISION, EXECUTE_TOOL, OPERATION, TOOL_CALL, UNHAPPY, Value, of_receipt, resource

INSTALL: Final = "pip install 'helm-kernel[otel]'"

try:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics.export import (
        AggregationTemporality,
        Gauge,
        Histogram,
        HistogramDataPoint,
        Metric,
        MetricExportResult,
        MetricsData,
        NumberDataPoint,
        ResourceMetrics,
        ScopeMetrics,
        Sum,
    )
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExportResult
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
    from requests import Response, Session
except ImportError as problem:
    raise Invalid("it needs OpenTelemetry, which is not installed", "otel_endpoint", INSTALL) from problem

TIMEOUT_S: Final = 5.0
"""For one message to be taken, all tries together: what waits meanwhile has its own bound (T4)."""

SCOPE: Final = InstrumentationScope("helm", __version__, attributes={"helm.authoritative": False})

SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)


class Otlp:
    """A collector that speaks OTLP over HTTP."""

    def __init__(self, endpoint: str, log_id: str, headers: Headers, timeout_s: float = TIMEOUT_S) -> None:
        base = endpoint.rstrip("/")
        self._resource = Resource.create(resource(__version__, log_id))
        self._spans = OTLPSpanExporter(f"{base}/v1/traces", headers=headers.spans, timeout=timeout_s, session=line())
        self._metrics = OTLPMetricExporter(
            f"{base}/v1/metrics", headers=headers.figures, timeout=timeout_s, session=line()
        )

    def spans(self, calls: Sequence[Ended], /) -> bool:
        """Send the spans of these calls; return whether they were taken."""
        made = [span for call in calls for span in spans_of(call, self._resource)]
        return self._spans.export(made) is SpanExportResult.SUCCESS

    def figures(self, found: Sequence[Figure], /) -> bool:
        """Send these figures; return whether they were taken."""
        now_ns = time_ns()
        metrics = [metric_of(figure, now_ns) for figure in found]
        told = MetricsData([ResourceMetrics(self._resource, [ScopeMetrics(SCOPE, metrics, "")], "")])
        return self._metrics.export(told) is MetricExportResult.SUCCESS

    def abandon(self) -> None:
        """Stop trying."""
        self._spans.shutdown()  # type: ignore[no-untyped-call]
        self._metrics.shutdown()


def line() -> Session:
    """Return a line to a collector on which the status of an answer is read, and nothing of what is behind its head.

    By itself the exporter reads whole answers, for as long as they come: a collector could fill our memory (T4).
    """
    session = Session()
    session.hooks["response"] = [unread]
    return session


def unread(response: Response, **_: Any) -> None:
    """Leave the rest of an answer where it is."""
    response.close()


def spans_of(call: Ended, about: Resource) -> Iterator[ReadableSpan]:
    """Yield the span of a decision, and within it the span of the effect that it let happen."""
    trace = call.trace
    if trace is None:
        return
    said = of_receipt(call.sealed, call.tool)
    decision = SpanContext(trace.trace_id, trace.decision_id, is_remote=False, trace_flags=SAMPLED)
    caller = SpanContext(trace.trace_id, trace.parent_id, is_remote=True, trace_flags=SAMPLED)
    is_unhappy = call.sealed.content.status in UNHAPPY
    yield ReadableSpan(
        DECISION,
        decision,
        caller if trace.parent_id else None,
        about,
        said,
        status=Status(StatusCode.ERROR if is_unhappy else StatusCode.UNSET),
        start_time=trace.begun_ns,
        end_time=max(trace.begun_ns, call.ended_ns),
        instrumentation_scope=SCOPE,
    )
    if trace.sent_ns:
        yield effect_of(trace, decision, about, said, is_unhappy=is_unhappy)


def effect_of(
    trace: Trace, decision: SpanContext, about: Resource, said: Mapping[str, Value], *, is_unhappy: bool
) -> ReadableSpan:
    """Return the span of an effect, with the attributes of the GenAI conventions for a tool that runs."""
    return ReadableSpan(
        TOOL_CALL,
        SpanContext(trace.trace_id, trace.tool_id, is_remote=False, trace_flags=SAMPLED),
        decision,
        about,
        {**said, OPERATION: EXECUTE_TOOL},
        kind=SpanKind.CLIENT,
        status=Status(StatusCode.ERROR if is_unhappy else StatusCode.UNSET),
        start_time=trace.sent_ns,
        end_time=max(trace.sent_ns, trace.back_ns),
        instrumentation_scope=SCOPE,
    )


def metric_of(figure: Figure, now_ns: int) -> Metric:
    """Return a figure in OpenTelemetry's words: the same count that /metrics answers with."""
    if figure.kind is Kind.SPANS:
        return Metric(figure.name, figure.about, "s", seconds(figure, now_ns))
    since_ns = figure.since_ns or now_ns
    points = [NumberDataPoint(dict(point.labels), since_ns, now_ns, point.value) for point in figure.points]
    if figure.kind is Kind.LEVEL:
        return Metric(figure.name, figure.about, "1", Gauge(points))
    counted = Sum(points, AggregationTemporality.CUMULATIVE, is_monotonic=True)
    return Metric(figure.name, figure.about, "1", counted)


def seconds(figure: Figure, now_ns: int) -> Histogram:
    """Return how long calls took. The shortest and the longest are not known, and OTLP lets them be left out."""
    unknown: Any = None
    point = HistogramDataPoint(
        {},
        figure.since_ns,
        now_ns,
        sum(figure.spans),
        figure.total_s,
        figure.spans,
        BOUNDS_S,
        min=unknown,
        max=unknown,
    )
    return Histogram([point], AggregationTemporality.CUMULATIVE)
