"""helm evidence graph, helm evidence diff: look at packs. Only at such that verify: a picture of a lie is a lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from actors.cli import drawing, show
from actors.cli.failure import Failed
from actors.cli.verify import of_pack, read_pack, trust_root
from actors.evidence.crew import crew
from actors.process import durable
from helm.evidence.difference import Difference, difference
from helm.evidence.picture import Picture, picture
from helm.evidence.reading import Reading
from helm.evidence.trust_root import TrustRoot
from helm.evidence.verify import check_pack

FORMATS = ("text", "svg", "html")


@click.command()
@of_pack
@click.option("--format", "form", type=click.Choice(FORMATS), help="By default what -o ends with, or text.")
@click.option("-o", "--output", "out", type=click.Path(path_type=Path, dir_okay=False), help="Write it to this file.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@show.json_option
def graph(pack: Path, form: str | None, out: Path | None, force: bool, as_json: bool, **pins: Any) -> None:
    """Draw the ProofGraph of PACK.

    Intents, verdicts, approvals, effects and checkpoints, each with what it stood on.

    The pack is verified first, against a trust root that you bring; one that does not hold is not drawn.
    """
    seen = picture(verified(pack, trust_root(**pins)))
    if as_json:
        show.as_object(seen.body())
        return
    text = painted(seen, form or (out.suffix[1:] if out is not None and out.suffix[1:] in FORMATS else "text"))
    if out is None:
        click.echo(text, nl=False)
        return
    if out.exists() and not force:
        raise Failed(f"{out} is there already", "name another file, or say --force", "EXISTS")
    durable.replace(out, click.unstyle(text).encode())
    show.note(f"{len(seen.marks)} nodes in {out}")


@click.command()
@of_pack
@click.argument("other", type=click.Path(path_type=Path, dir_okay=False))
@show.json_option
def diff(pack: Path, other: Path, as_json: bool, **pins: Any) -> int:
    """Say how PACK and OTHER differ, call by call.

    Exit 0 where they tell the same, 1 where they do not.

    Both are verified first, against the same trust root.
    """
    root = trust_root(**pins)
    found = difference(verified(pack, root), verified(other, root))
    if as_json:
        show.as_object(found.body())
    else:
        tell(found)
    return 0 if found.is_none else 1


def verified(pack: Path, root: TrustRoot) -> Reading:
    """Return what a pack says, once every check has held. Raises Invalid and CheckFailed."""
    raw = read_pack(pack)
    with crew() as helpers:
        return check_pack(raw, root, helpers)


def painted(seen: Picture, form: str) -> str:
    """Return a picture in one of the forms."""
    match form:
        case "svg":
            return drawing.as_svg(seen)
        case "html":
            return drawing.as_page(seen)
        case _:
            return "".join(f"{line}\n" for line in drawing.as_lines(seen))


def tell(found: Difference) -> None:
    """Write a difference as a person reads it."""
    for name, first, second in found.about:
        show.fields([(name, f"{show.plain(first)}  |  {show.plain(second)}")])
    for places, which in ((found.only_first, "first"), (found.only_second, "second")):
        if places:
            click.echo(f"only in the {which}: receipts at {', '.join(map(str, places))}")
    for one in found.differing:
        click.echo(f"receipt at {one.lamport_clock}: {', '.join(one.names)}")
    words = "The packs tell the same." if found.is_none else "The packs differ."
    click.echo(f"{words} {found.same} receipts are the same in both.")
