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

from actors.doors.credentials import check_admin
from actors.doors.desk import Desk, query
from actors.kernel import Kernel
from actors.meter import BOUNDS_S, Meter
from helm import __version__
from helm.guardian.ceremony import WAITING
from helm.mcp.registry import registry

METRICS: Final = "/metrics"

PREFIX: Final = "helm_"


class MetricsRoutes:
    """An admin key opens the route: how often somebody is refused is nobody else's business."""

    def __init__(self, kernel: Kernel, desk: Desk) -> None:
        self.desk = desk
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(Gauges(kernel))

    async def show(self) -> Response:
        """Answer with every figure, in Prometheus' text format."""
        check_admin(self.desk.caller())
        query()
        return Response(generate_latest(self.registry), content_type=CONTENT_TYPE_PLAIN_1_0_0)


@attrs.frozen(eq=False)
class Gauges:
    """Reads a kernel's figures when they are asked for; between two readings they cost nothing."""

    kernel: Kernel

    def collect(self) -> Iterator[Metric]:
        """Yield every figure."""
        yield build()
        yield decisions(self.kernel.meter)
        yield seconds(self.kernel.meter)
        for name, said, value in self._levels():
            yield GaugeMetricFamily(PREFIX + name, said, value=value)

    def _levels(self) -> Iterator[tuple[str, str, float]]:
        """Yield what stands at some level now: name, meaning, value."""
        kernel, memory = self.kernel, self.kernel.memory
        latest = kernel.notary.durable
        yield "calls_in_flight", "Calls on the belt.", len(kernel.cases)
        yield "calls_in_flight_limit", "Calls that may be on the belt.", kernel.parts.limits.places
        yield "ready", "1 while calls are judged.", float(not (kernel.stopping or kernel.parts.journal.low_space))
        yield "journal_entries", "Entries in the journal, all of them durable.", kernel.parts.journal.head
        yield (
            "checkpoint_sequence",
            "Number of the latest durable checkpoint.",
            latest.content.sequence if latest else 0,
        )
        yield "policy_epoch", "Epoch of the policy in force, 0 without one.", memory.policy.epoch
        yield "stops_in_force", "Freezes in force.", len(memory.freezes.in_force)
        yield "connectors_halted", "Connectors that wait for an operator.", len(memory.halted)
        yield "approvals_waiting", "Approvals that wait for approvers.", self._waiting()
        yield "mcp_servers_quarantined", "MCP servers that nobody approved.", self._quarantined()

    def _waiting(self) -> int:
        return sum(one.state in WAITING for one in self.kernel.memory.approvals.running())

    def _quarantined(self) -> int:
        memory, parts = self.kernel.memory, self.kernel.parts
        known = registry(memory.policy, memory.servers, parts.boot.log_id, parts.clock.now_ms())
        return sum(row["state"] == "quarantined" for row in known["servers"])


def build() -> Metric:
    """Return which program this is, as Prometheus takes what is no number."""
    family = GaugeMetricFamily(PREFIX + "build_info", "Which HELM this is.", labels=["version"])
    family.add_metric([__version__], 1)
    return family


def decisions(meter: Meter) -> Metric:
    """Return how many calls came to which end; a dashboard's sums over it are those of the receipts."""
    labels = ["verdict", "reason_code", "status"]
    family = CounterMetricFamily(PREFIX + "decisions", "Calls that were answered with a receipt.", labels=labels)
    for end, count in sorted(meter.ends.items()):
        family.add_metric(list(end), count)
    return family


def seconds(meter: Meter) -> Metric:
    """Return how long calls took, from their place on the belt to their durable receipt."""
    ends = [*map(str, BOUNDS_S), "+Inf"]
    buckets = list(zip(ends, accumulate(meter.spans), strict=True))
    return HistogramMetricFamily(PREFIX + "call_seconds", "From intake to receipt.", buckets, sum_value=meter.total_s)
