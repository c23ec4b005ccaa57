"""helm watch: the console for a terminal, drawn anew every second."""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs
import click

from actors.cli import show
from actors.cli.place import data_dir_option
from actors.cli.receipt_source import Object, ReceiptSource, Wanted
from actors.cli.receipts import source_of, time_of
from actors.cli.server import API, Server, server_option, server_url

LATEST: Final = 200
"""Receipts that one look takes in: a page of the route."""

SECONDS: Final = 60
BARS: Final = " ▁▂▃▄▅▆▇█"
VERDICTS: Final = ("ALLOW", "ESCALATE", "DENY")
FIGURE: Final = re.compile(r"^helm_([a-z_]+) (\S+)$", re.MULTILINE)
BUCKET: Final = re.compile(r'^helm_call_seconds_bucket\{le="([^"]+)"\} (\S+)$', re.MULTILINE)

HOME: Final = "\x1b[H\x1b[J"
BESIDE: Final = "\x1b[?1049h\x1b[?25l"
BACK: Final = "\x1b[?25h\x1b[?1049l"
"""ECMA-48 and xterm: clear from the top; draw on a screen of its own, without a cursor; leave the other as it was."""


@attrs.frozen(kw_only=True)
class View:
    """What is seen in one moment."""

    where: str
    now_ms: int
    receipts: Sequence[Object]
    """The latest, oldest first."""
    figures: Mapping[str, float] | None = None
    """What the kernel measures, None where nobody tells."""
    buckets: Sequence[tuple[float, float]] = ()
    stops: Sequence[str] = ()


@click.command()
@data_dir_option
@server_option
@click.option("--once", is_flag=True, help="Write one picture and end, as without a terminal.")
@click.option("--every", default=1.0, type=click.FloatRange(0.2, 60), show_default=True, help="Seconds between two.")
def watch(data_dir: Path, server: str | None, once: bool, every: float) -> None:
    """Watch what is decided, in a terminal, until Ctrl-C.

    An admin key shows also what the kernel measures.
    """
    url = server_url(data_dir, server)
    source, kernel = source_of(data_dir, server), Server(url) if url else None
    if once or not sys.stdout.isatty():
        click.echo("\n".join(frame(look(source, kernel), width())))
        return
    click.echo(BESIDE, nl=False)
    try:
        while True:
            click.echo(HOME + "\n".join(frame(look(source, kernel), width())[: height()]), nl=False)
            time.sleep(every)
    finally:
        click.echo(BACK, nl=False)


def look(source: ReceiptSource, kernel: Server | None) -> View:
    """Return what is to be seen now. Raises Failed, or Invalid."""
    seen = View(where=source.where, now_ms=round(time.time() * 1000), receipts=source.latest(Wanted(), LATEST))
    if kernel is None:
        return seen
    stops = [f"{one['scope']} {one['target']}".strip() for one in kernel.get(f"{API}/freeze", {})["in_force"]]
    measured = kernel.ask("GET", "/metrics")
    if measured.status == 403:  # a tenant's key: the house's figures are not its business
        return attrs.evolve(seen, stops=stops)
    measured.check()
    text = measured.body.decode()
    figures = {name: float(value) for name, value in FIGURE.findall(text)}
    buckets = [(float(end), float(count)) for end, count in BUCKET.findall(text)]
    return attrs.evolve(seen, stops=stops, figures=figures, buckets=buckets)


def frame(seen: View, columns: int) -> list[str]:
    """Return one picture, line by line."""
    lines = [click.style("HELM", bold=True) + show.GAP + seen.where]
    if seen.stops:
        lines.append(click.style(f"■ FROZEN: {', '.join(map(show.plain, seen.stops))}", fg="red", bold=True))
    lines += ["", *figures_of(seen), "", *rates(seen), ""]
    if not seen.receipts:
        return [*lines, "No receipt yet: send a call to POST /v1/tools/execute."]
    return [*lines, *(cut(row(one), columns) for one in reversed(seen.receipts))]


def figures_of(seen: View) -> list[str]:
    """Return what the kernel measures, in a line."""
    found = seen.figures
    if found is None:
        return ["what the kernel measures: an operator's key, and a running kernel, show it"]
    deciding = "deciding" if found.get("ready") else click.style("NOT deciding", fg="red", bold=True)
    said = [
        deciding,
        f"p50 {milliseconds(quantile(seen.buckets, 0.5))}",
        f"p99 {milliseconds(quantile(seen.buckets, 0.99))}",
        f"in flight {found['calls_in_flight']:.0f} of {found['calls_in_flight_limit']:.0f}",
        f"checkpoint {found['checkpoint_sequence']:.0f}",
        f"policy epoch {found['policy_epoch']:.0f}",
        f"waiting for approvers {found['approvals_waiting']:.0f}",
        f"quarantined servers {found['mcp_servers_quarantined']:.0f}",
    ]
    return [" · ".join(said)]


def rates(seen: View) -> list[str]:
    """Return the last minute of each verdict as a row of bars, on one scale."""
    last = seen.now_ms // 1000
    counts = Counter((one["verdict"], last - one["issued_at_ms"] // 1000) for one in seen.receipts)
    most = max([1, *(count for (_, age), count in counts.items() if 0 <= age < SECONDS)])
    lines = []
    for name in VERDICTS:
        ages = range(SECONDS - 1, -1, -1)
        bars = "".join(BARS[-(-counts[name, age] * (len(BARS) - 1) // most)] for age in ages)
        total = sum(counts[name, age] for age in ages)
        lines.append(f"{word(name)}{show.GAP}{bars}{show.GAP}{total}")
    return lines


def row(receipt: Object) -> str:
    """Return one receipt as a line."""
    said = [time_of(receipt), word(receipt["verdict"])]
    said += [show.plain(receipt[name]) for name in ("tool", "principal")] + [
        receipt["reason_code"] or receipt["status"]
    ]
    return show.GAP.join(said)


def word(verdict: str) -> str:
    """Return a verdict, as wide as the longest."""
    return show.verdict(verdict) + " " * (len(max(VERDICTS, key=len)) - len(verdict))


def cut(line: str, columns: int) -> str:
    """Return as much of a line as there is room for; styles take none."""
    too_many = len(click.unstyle(line)) - columns
    return line[:-too_many] if too_many > 0 else line


def quantile(buckets: Sequence[tuple[float, float]], part: float) -> float | None:
    """Return the time in seconds below which this part of the calls stayed, None where there was none."""
    wanted = (buckets[-1][1] if buckets else 0) * part
    start = below = 0.0
    for end, count in buckets:
        if 0 < wanted <= count:
            return start if end == float("inf") else start + (end - start) * (wanted - below) / (count - below)
        start, below = end, count
    return None


def milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.1f} ms"


def width() -> int:
    return shutil.get_terminal_size().columns


def height() -> int:
    return shutil.get_terminal_size().lines - 1
