"""The figures of a kernel: one table, from which Prometheus and OpenTelemetry are told. Nothing is decided by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import attrs

from actors.kernel import Kernel
from actors.meter import Meter
from helm import __version__
from helm.guardian.ceremony import WAITING
from helm.mcp.registry import registry

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class Kind(StrEnum):
    """How a figure moves: a count only grows for as long as its kernel lives, a level goes up and down."""

    COUNT = "count"
    LEVEL = "level"
    SPANS = "spans"
    """Spans of time, sorted by how long they were."""


@attrs.frozen(kw_only=True)
class Point:
    """One value of a figure, under the labels that tell it from the others."""

    value: float
    labels: Mapping[str, str] = NOTHING


@attrs.frozen(kw_only=True)
class Figure:
    """One figure: its name in OpenTelemetry's spelling, what it says, and what it stands at."""

    name: str
    about: str
    kind: Kind
    points: tuple[Point, ...] = ()
    spans: tuple[int, ...] = ()
    """For a figure of that kind: how many took as long as each of BOUNDS_S, and last how many took longer."""
    total_s: float = 0.0
    """How long all of them took together."""
    since_ns: int = 0
    """Since when a count was counted, in POSIX nanoseconds."""

    @property
    def prometheus(self) -> str:
        """Its name in Prometheus, where every count ends in _total."""
        return self.name.replace(".", "_")


def figures(kernel: Kernel) -> Iterator[Figure]:
    """Yield every figure as it stands now. It costs nothing between two readings."""
    meter = kernel.meter
    yield level("helm.build.info", "Which HELM this is.", 1, {"version": __version__})
    yield decisions(meter)
    yield durations(meter)
    told = "Receipts in the log, of this kernel and those before it."
    yield count(meter, "helm.receipts.total", told, kernel.notary.entered)
    told = "Connections that a fault of ours ended, each alone."
    yield count(meter, "helm.connections.failed.total", told, meter.failed_connections)
    yield from lost(meter)
    for name, about, value in levels(kernel):
        yield level(f"helm.{name}", about, value)


def decisions(meter: Meter) -> Figure:
    """Return how many calls came to which end; a dashboard's sums over it are those of the receipts."""
    labels = ("verdict", "reason_code", "status")
    points = tuple(
        Point(value=times, labels=dict(zip(labels, end, strict=True))) for end, times in sorted(meter.ends.items())
    )
    about = "Calls that were answered with a receipt."
    return Figure(name="helm.decisions.total", about=about, kind=Kind.COUNT, points=points, since_ns=meter.since_ns)


def durations(meter: Meter) -> Figure:
    """Return how long calls took, from their place on the belt to their durable receipt."""
    return Figure(
        name="helm.call.seconds",
        about="From intake to receipt.",
        kind=Kind.SPANS,
        spans=tuple(meter.spans),
        total_s=meter.total_s,
        since_ns=meter.since_ns,
    )


def lost(meter: Meter) -> Iterator[Figure]:
    """Yield what observers were not told."""
    losses = meter.losses
    for name, about, value in (
        ("helm.telemetry.lost_spans.total", "Spans that no collector got.", losses.spans),
        ("helm.telemetry.lost_figures.total", "Sets of figures that no collector got.", losses.figures_undelivered),
        ("helm.log.lost_lines.total", "Lines that did not get into the log.", losses.lines),
    ):
        yield count(meter, name, about, value)


def levels(kernel: Kernel) -> Iterator[tuple[str, str, float]]:
    """Yield what stands at some level now: name, meaning, value."""
    memory, latest, limits = kernel.memory, kernel.notary.durable, kernel.parts.limits
    yield "calls.in_flight", "Calls on the belt.", len(kernel.cases)
    yield "calls.in_flight_limit", "Calls that may be on the belt.", limits.places
    yield "ready", "1 while calls are judged.", float(not kernel.refusing)
    yield "journal.entries", "Entries in the journal, all of them durable.", kernel.parts.journal.head
    yield "checkpoint.sequence", "Number of the latest durable checkpoint.", latest.content.sequence if latest else 0
    yield "policy.epoch", "Epoch of the policy in force, 0 without one.", memory.policy.epoch
    yield "stops.in_force", "Freezes in force.", len(memory.freezes.in_force)
    yield "connectors.halted", "Connectors that wait for an operator.", len(memory.halted)
    waiting = sum(one.state in WAITING for one in memory.approvals.running())
    yield "approvals.waiting", "Approvals that wait for approvers.", waiting
    yield "mcp.servers_quarantined", "MCP servers that nobody approved.", quarantined(kernel)


def quarantined(kernel: Kernel) -> int:
    """Return how many MCP servers wait for their approval."""
    memory, parts = kernel.memory, kernel.parts
    known = registry(memory.policy, memory.servers, parts.boot.log_id, parts.clock.now_ms())
    return sum(row["state"] == "quarantined" for row in known["servers"])


def count(meter: Meter, name: str, about: str, value: float) -> Figure:
    """Return a figure that only grows while a meter counts."""
    return Figure(name=name, about=about, kind=Kind.COUNT, points=(Point(value=value),), since_ns=meter.since_ns)


def level(name: str, about: str, value: float, labels: Mapping[str, str] = NOTHING) -> Figure:
    """Return a figure that goes up and down."""
    return Figure(name=name, about=about, kind=Kind.LEVEL, points=(Point(value=value, labels=labels),))
