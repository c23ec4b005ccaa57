"""How results look: JSON for machines, a table on a terminal, plain columns in a pipe."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON.")

MARKS = {"ALLOW": ("●", "green"), "DENY": ("■", "red"), "ESCALATE": ("▲", "yellow")}
"""Colour never carries a verdict alone: each has its shape and its word."""

STATES = {"ok": ("●", "green"), "note": ("○", "white"), "warn": ("▲", "yellow"), "fail": ("■", "red")}
"""How an examination or a check came out."""

GAP = "  "


def as_object(body: Any) -> None:
    """Write one JSON value to stdout, indented by two."""
    sys.stdout.write(json.dumps(body, indent=2, ensure_ascii=False) + "\n")
    sys.stdout.flush()  # while somebody is still there to say that it cannot be written


def as_line(body: Any) -> None:
    """Write one JSON value to stdout, as a line of its own, and let whoever reads along see it now."""
    sys.stdout.write(json.dumps(body, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def verdict(word: str) -> str:
    """Return a verdict with its mark, coloured where colours are wanted."""
    return marked(word, *MARKS.get(word, ("○", "white")))


def state(word: str) -> str:
    """Return the state of a check with its mark."""
    return marked(word, *STATES[word])


def marked(word: str, mark: str, colour: str) -> str:
    return click.style(f"{mark} {word}", fg=colour)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write rows in columns to stdout; click drops the colours where nobody would see them."""
    widths = [max(len(click.unstyle(row[n])) for row in [heads, *rows]) for n in range(len(heads))]
    click.echo(click.style(columns(heads, widths), bold=True))
    for row in rows:
        click.echo(columns(row, widths))


def columns(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Return one line of cells, each as wide as its column; styles take no room."""
    padded = [cell + " " * (width - len(click.unstyle(cell))) for cell, width in zip(cells, widths, strict=True)]
    return GAP.join(padded).rstrip()


def fields(pairs: Iterable[tuple[str, str]]) -> None:
    """Write names and values to stdout, values aligned."""
    pairs = list(pairs)
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        click.echo(f"{click.style(name.ljust(width), dim=True)}{GAP}{value}")


def note(line: str) -> None:
    """Write a line of chrome to stderr."""
    click.echo(line, err=True, color=False if os.environ.get("NO_COLOR") else None)


def plain(text: str) -> str:
    """Return a text of unknown origin with everything that is not seen written out: no pack paints our terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def short(identifier: str) -> str:
    """Return the first eight digits of an id: enough to recognise, never enough to trust."""
    return identifier.partition("_")[2][:8] or identifier[:8]
