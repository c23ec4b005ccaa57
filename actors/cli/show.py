"""How results look: JSON for machines, a table on a terminal, plain columns in a pipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON.")

MARKS = {"ALLOW": ("●", "green"), "DENY": ("■", "red"), "ESCALATE": ("▲", "yellow")}
"""Colour never carries a verdict alone: each has its shape and its word."""


def as_object(body: Any) -> None:
    """Write one JSON value to stdout, indented by two."""
    sys.stdout.write(json.dumps(body, indent=2, ensure_ascii=False) + "\n")


def verdict(word: str) -> str:
    """Return a verdict with its mark, coloured where colours are wanted."""
    mark, colour = MARKS.get(word, ("○", "white"))
    return click.style(f"{mark} {word}", fg=colour)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write rows in columns to stdout; click drops the colours where nobody would see them."""
    widths = [max(len(click.unstyle(row[n])) for row in [heads, *rows]) for n in range(len(heads))]
    for number, row in enumerate([heads, *rows]):
        cells = [cell + " " * (width - len(click.unstyle(cell))) for cell, width in zip(row, widths, strict=True)]
        line = "  ".join(cells).rstrip()
        click.echo(click.style(line, bold=True) if number == 0 else line)


def note(line: str) -> None:
    """Write a line of chrome to stderr."""
    click.echo(line, err=True)
