"""helm boundary surfaces: what each surface comes to, made from the journal, and whether what was kept agrees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from actors.cli import show
from actors.cli.bar import bar
from actors.cli.place import data_dir_option, open_place


@click.command()
@click.option("--surface", "name", default="", help="Of this one only, all of it.")
@data_dir_option
@show.json_option
def surfaces(name: str, data_dir: Path, as_json: bool) -> None:
    """Say what each surface comes to.

    Every row of the journal is verified, and no kernel is asked. Exit 1 where a row does not follow, or where
    boundary_surface_snapshots or the registry file say something else.
    """
    told = read_surfaces(data_dir)
    if name:
        if name not in told["surfaces"]:
            raise click.UsageError(f"there is no surface {name}: there are {', '.join(sorted(told['surfaces']))}")
        told["surfaces"] = {name: told["surfaces"][name]}
    if as_json or name:
        show.as_object(told)
        return
    rows = [
        (one, str(len(state) if isinstance(state, dict | list) else int(state is not None)))
        for one, state in told["surfaces"].items()
    ]
    show.table(("surface", "members"), rows)
    show.note(f"as of row {told['upto_seq']}; {told['kept']} snapshots were kept, and agree")


def read_surfaces(data_dir: Path) -> dict[str, Any]:
    """Return what the rows come to. Raises Invalid where they do not follow, or what was kept is something else."""
    from actors.backups.making import rows_of
    from actors.recovery import read_entry
    from actors.stores.glance import glance
    from actors.stores.kept import kept_at
    from actors.surfaces import Watch
    from helm.crypto.canonical import reread
    from helm.evidence.refold import Refold
    from helm.evidence.surfaces import surfaces_of

    place = open_place(data_dir)
    with glance(place.journal_at) as journal, bar("verifying") as shown:
        kept = [*kept_at(place.journal_at), *(place.surfaces_file.snapshots() if place.surfaces_file else [])]
        watch, state, head = Watch.of(kept), Refold(place.log_id), journal.head()
        for seq, body in rows_of(journal, head):
            state.take(read_entry(body, seq), f"journal entry {seq}")
            watch.look(state, seq)
            shown.move(seq, head)
        watch.end()
    told = {one: reread(content) for one, content in surfaces_of(state).items()}
    return {"kept": len(kept), "log_id": place.log_id, "surfaces": told, "upto_seq": head}
