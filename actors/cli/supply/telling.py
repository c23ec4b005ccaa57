"""What a verification found, as a person or a program reads it."""

from __future__ import annotations

import click

from actors.cli import show
from actors.cli.failure import REFUSED
from actors.cli.verify import line
from helm.supply.findings import Findings


def tell(findings: Findings, *, as_json: bool) -> int:
    """Write each check by number and name, then the whole; return the exit code."""
    if as_json:
        show.as_object(findings.body())
    else:
        tell_checks(findings)
    return 0 if findings.verified else REFUSED


def tell_checks(findings: Findings) -> None:
    failed = findings.failed
    for outcome in findings.outcomes:
        reached = failed is None or outcome.number <= failed.number
        click.echo(line(outcome, "ok" if outcome.ok else "fail" if reached else "note"))
    if failed is not None:
        click.echo(click.style(f"\nNOT VERIFIED by check {failed.number}, {failed.name}", fg="red", bold=True))
        click.echo(show.plain(findings.hint or "Do not use it."))
        return
    click.echo(click.style("\nVERIFIED", fg="green", bold=True))
    show.fields([(name, show.plain(str(value))) for name, value in findings.about.items()])
