"""helm conform negative, vectors: what is published of the vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from actors.cli import show
from actors.conforming.material import vector_set
from helm.conformance.choosing import NEGATIVE, Wanted, published
from helm.conformance.vector import CASES, LEVELS
from helm.contracts.reason import CODES

HEADS = ("vector", "level", "category", "verdict", "reason")


def choosing(command: Any) -> Any:
    """Add the options by which vectors are chosen."""
    for option in (
        click.option("--code", type=click.Choice(sorted(CODES)), help="Only those that this reason code answers."),
        click.option("--vector", "ids", multiple=True, metavar="ID", help="Only this one; may be given again."),
        click.option("--category", "categories", multiple=True, help="Only those of this category; likewise."),
        click.option("--level", type=click.Choice(LEVELS), help="Only those of this level, and of those below it."),
    ):
        command = option(command)
    return command


def wanted(level: str | None, categories: Sequence[str], ids: Sequence[str], code: str | None) -> Wanted:
    """Return what the options ask for. Raises UsageError for a name that nothing has."""
    known = vector_set().vectors
    for given, names, what in (
        (categories, {one.category for one in known}, "category"),
        (ids, {one.id for one in known}, "vector"),
    ):
        for name in given:
            if name not in names:
                raise click.UsageError(f"no {what} {name!r}: `helm conform vectors` lists them")
    return Wanted(level=level or "", categories=frozenset(categories), ids=frozenset(ids), code=code or "")


@click.command()
@show.json_option
def negative(as_json: bool) -> None:
    """List the vectors of the ten fail-closed cases: each must be refused, with a record and a receipt."""
    found = published(vector_set(), NEGATIVE)
    if as_json:
        show.as_object(found)
        return
    rows = [(one["case"], one["id"], outcome(one), ", ".join(one["must_bind"])) for one in found["vectors"]]
    show.table(("case", "vector", "answer", "binds"), sorted(rows, key=lambda row: CASES.index(row[0])))


@click.command()
@choosing
@show.json_option
def vectors(level: str | None, categories: Sequence[str], ids: Sequence[str], code: str | None, as_json: bool) -> None:
    """List the vectors: what is done to a server, and what must come of it."""
    found = published(vector_set(), wanted(level, categories, ids, code))
    if as_json:
        show.as_object(found)
        return
    rows = [
        (one["id"], one["level"], one["category"], one["expected"]["verdict"] or "-", one["expected"]["reason_code"])
        for one in found["vectors"]
    ]
    show.table(HEADS, rows)
    show.note(f"{len(rows)} vectors of {found['vectors_hash']}")


def outcome(body: dict[str, Any]) -> str:
    """Return what must come back, in a few words."""
    expected = body["expected"]
    return f"{expected['verdict']} {expected['reason_code']}"
