"""GET /metrics: how the kernel fares, for Prometheus. No receipt stands behind it; nothing is decided by it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import Final

import attrs
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0, generate_latest
from quart import Response

from actors.doors.desk import Desk, query
from actors.figures import Figure, Kind, figures
from actors.kernel import Kernel
from actors.meter import BOUNDS_S

METRICS: Final = "/metrics"


class MetricsRoutes:
    """An admin key opens the route: how often somebody is refused is nobody else's business."""

    def __init__(self, kernel: Kernel, desk: Desk) -> None:
        self.desk = desk
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(Families(kernel))

    async def show(self) -> Response:
        """Answer with every figure, in Prometheus' text format."""
        query()
        return Response(generate_latest(self.registry), content_type=CONTENT_TYPE_PLAIN_1_0_0)


@attrs.frozen(eq=False)
class Families:
    """Reads a kernel's figures when they are asked for; between two readings they cost nothing."""

    kernel: Kernel

    def collect(self) -> Iterator[Metric]:
        """Yield every figure."""
        return map(family, figures(self.kernel))


def family(figure: Figure) -> Metric:
    """Return a figure in Prometheus' words."""
    if figure.kind is Kind.SPANS:
        return seconds(figure)
    labels = list(figure.points[0].labels) if figure.points else []
    made = KINDS[figure.kind](figure.prometheus, figure.about, labels=labels)
    for point in figure.points:
        made.add_metric(list(point.labels.values()), point.value)
    return made


KINDS: Final[dict[Kind, type[CounterMetricFamily] | type[GaugeMetricFamily]]] = {
    Kind.COUNT: CounterMetricFamily,
    Kind.LEVEL: GaugeMetricFamily,
}


def seconds(figure: Figure) -> Metric:
    """Return how long calls took, from their place on the belt to their durable receipt."""
    ends = [*map(str, BOUNDS_S), "+Inf"]
    buckets = list(zip(ends, accumulate(figure.spans), strict=True))
    return HistogramMetricFamily(figure.prometheus, figure.about, buckets, sum_value=figure.total_s)
