"""`python -m bench [--json] [--runs N]`: measure everything, print the figures, exit 1 where a target is missed."""

from __future__ import annotations

import json
import platform
import sys
from argparse import ArgumentParser
from collections.abc import Awaitable, Callable, Sequence
from os import cpu_count, getloadavg
from pathlib import Path

import trio

from bench.figure import Figure
from bench.governed import alone, belt
from bench.growth import growth
from bench.http import http
from bench.offline import offline
from bench.openai_proxy import openai_proxy
from bench.sandbox import sandbox
from bench.stream import stream

DURABILITY = (
    "journal in segments, O_DIRECT and O_DSYNC where the disk has them: intents before dispatch, "
    "receipts before answers, one durable write per batch"
)
LEFT_OUT = "no remote policy decision; no store of a million receipts"

PARTS: tuple[Callable[[int], Awaitable[list[Figure]]], ...] = (
    belt,
    alone,
    stream,
    http,
    growth,
    offline,
    sandbox,
    openai_proxy,
)


def machine() -> dict[str, object]:
    """Say what this was measured on."""
    return {
        "processor": processor(),
        "cores": cpu_count(),
        "load": [round(load, 2) for load in getloadavg()],
        "system": platform.platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def processor() -> str:
    """Return the processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as lines to read."""
    heading = f"{'median':>8} {'min':>8} {'max':>8}  {'target':>10}"
    lines = [heading]
    for figure in figures:
        side = ">=" if figure.at_least else "<="
        numbers = f"{figure.median:8.3f} {min(figure.samples):8.3f} {max(figure.samples):8.3f}"
        word = "met" if figure.met else "MISSED"
        lines.append(f"{numbers}  {side} {figure.target:<7.2f} {word:<6}  {figure.name} ({figure.detail})")
    return "\n".join(lines)


def report(figures: Sequence[Figure]) -> dict[str, object]:
    """Return everything as one JSON object."""
    return {
        "machine": machine(),
        "durability": DURABILITY,
        "left_out": LEFT_OUT,
        "figures": [figure.body() for figure in figures],
    }


async def measure(runs: int) -> list[Figure]:
    """Run every part, one after the other."""
    return [figure for part in PARTS for figure in await part(runs)]


def main() -> int:
    """Measure, print, and say by the exit code whether every target was met."""
    parser = ArgumentParser(prog="python -m bench", description="HELM's figures, each a ratio taken in one run.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--runs", type=int, default=5, help="runs per figure, 5 by default")
    options = parser.parse_args()
    figures = trio.run(measure, options.runs)
    if options.json:
        print(json.dumps(report(figures), indent=2))
    else:
        print(table(figures))
        print(f"\n{machine()}\n{DURABILITY}\nleft out: {LEFT_OUT}")
    return 0 if all(figure.met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
