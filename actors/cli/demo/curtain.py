"""How the demonstration looks on a terminal: one calm line per answer, then what it all proves."""

from __future__ import annotations

import click

from actors.cli import show
from actors.cli.demo.play import Result
from actors.cli.demo.proof import Proof
from actors.cli.demo.steps import STEPS

HEADS = ("", "what is sent", "verdict", "http", "outcome", "reason code", "receipt", "expected")
WIDTHS = (2, max(len(step.title) for step in STEPS), 10, 4, 9, 28, 8, 12)
"""Fixed before the first answer, so that lines can be written as answers come."""

LABEL = 18
NONE = "·"


def opening(path: str, url: str, origin: str) -> None:
    """Say what stands where."""
    show.fields(
        [
            ("gateway", f"{url}, a fresh installation in {path}"),
            ("tools", f"a directory of files, and an order service at {origin}"),
        ]
    )
    click.echo()
    click.echo(click.style(show.columns(HEADS, WIDTHS), bold=True))


def line(result: Result) -> None:
    """Write one answer; what was not expected gets a line of its own below."""
    answer = result.answer
    cells = (
        f"{result.number:2d}",
        result.step.title,
        show.verdict(answer.verdict) if answer.verdict else NONE,
        str(answer.http),
        answer.status.lower() or NONE,
        answer.code or NONE,
        show.short(answer.receipt_id) or NONE,
        mark(str(result.step.expected), good=not result.complaint),
    )
    click.echo(show.columns(cells, WIDTHS))
    if result.complaint:
        click.echo(click.style(f"    not expected: {result.complaint}", fg="red"))


def proof(found: Proof) -> None:
    """Write what the world saw, and what a stranger makes of the evidence."""
    click.echo()
    saw = ", ".join(found.seen) or "nothing"
    point("the service saw", saw, good=found.seen_as_expected)
    point("evidence pack", f"{found.receipts} receipts, {found.pack_bytes / 1024:.0f} KiB: {found.pack}", good=True)
    point("verified by", f"a second process that refuses itself every socket: {found.verified}", good=found.authentic)
    point("one byte flipped", found.flipped, good=found.flip_refused)


def closing(*, good: int, of: int, seconds: float) -> None:
    """Write the whole in one line."""
    whole = f"{good} of {of} answers and every proof as expected" if good == of else f"{good} of {of} as expected"
    colour = "green" if good == of else "red"
    click.echo()
    click.echo(click.style(whole, fg=colour, bold=True) + f", in {seconds:.1f} s.")


def point(label: str, text: str, *, good: bool) -> None:
    click.echo(f"{mark('', good=good)} {click.style(label.ljust(LABEL), dim=True)}{text}")


def mark(text: str, *, good: bool) -> str:
    """Return a mark that says whether something was expected, with its words."""
    return click.style(f"{'✓' if good else '✗'} {text}".rstrip(), fg="green" if good else "red")
