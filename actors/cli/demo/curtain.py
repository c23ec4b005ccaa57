"""How the demonstration looks on a terminal: one calm line per answer, then what it all proves."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence

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


def closing(results: Sequence[Result], proof: Proof, seconds: float) -> None:
    """Write what the world saw, what a stranger makes of the evidence, and the whole in one line."""
    good = sum(not result.complaint for result in results)
    click.echo()
    point("the service saw", ", ".join(proof.seen) or "nothing", good=proof.seen_as_expected)
    point("evidence pack", f"{proof.receipts} receipts, {proof.pack_bytes:,} bytes", good=proof.authentic)
    point("a second process", verified(proof), good=proof.authentic)
    point("one byte changed", refused(proof), good=proof.flip_refused)
    click.echo()
    whole = f"{good} of {len(results)} answers as expected"
    as_expected = proof.holds and good == len(results)
    whole += ", every proof holds" if proof.holds else ", a proof does not hold"
    click.echo(f"{click.style(whole, fg='green' if as_expected else 'red', bold=True)} ({seconds:.1f} s)")


def verified(proof: Proof) -> str:
    """Say what the process without network made of the pack."""
    checks, failed = proof.believed.report["checks"], proof.believed.failed
    if failed is not None:
        return f"refuses it by check {failed['number']}, {failed['name']}: {failed['detail']}"
    names = " ".join(check["name"] for check in checks)
    return f"with every socket refused, made {len(checks)} checks: {names}"


def refused(proof: Proof) -> str:
    """Say which check found the changed byte."""
    failed = proof.refused.failed
    if failed is None:
        return "and nobody noticed"
    return f"refused by check {failed['number']}, {failed['name']}: {failed['detail']}"


def point(label: str, text: str, *, good: bool) -> None:
    """Write one proof: its mark, what it is about, and what was found, on as many lines as that takes."""
    room = max(40, shutil.get_terminal_size().columns - LABEL - 4)
    first, *rest = textwrap.wrap(text, room) or [""]
    click.echo(f"{mark('', good=good)} {click.style(label.ljust(LABEL), dim=True)}  {first}")
    for line in rest:
        click.echo(" " * (LABEL + 4) + line)


def mark(text: str, *, good: bool) -> str:
    """Return a mark that says whether something was expected, with its words."""
    return click.style(f"{'✓' if good else '✗'} {text}".rstrip(), fg="green" if good else "red")
