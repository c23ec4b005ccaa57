"""helm evidence: put one session into a pack that a stranger can verify without us."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import click

from actors.cli import show
from actors.cli.bar import bar
from actors.cli.condensing import condense, rehydrate
from actors.cli.evidence_look import diff, graph
from actors.cli.failure import Failed
from actors.cli.place import data_dir_option, open_place
from actors.cli.receipt_source import PAGE
from actors.evidence_export import replay_script, write_pack
from actors.installation import TENANT, Installation
from actors.stores.glance import Glance, glance
from helm.crypto.canonical import reread
from helm.evidence.pack import PackMaterial
from helm.evidence.report import Subject
from helm.evidence.selection import Entry, Selection


@click.group()
def evidence() -> None:
    """Export evidence packs, condense them, and look at them."""


evidence.add_command(graph)
evidence.add_command(diff)
evidence.add_command(condense)
evidence.add_command(rehydrate)


@evidence.command()
@click.option("--session", required=True, help="The session whose calls are exported.")
@click.option("--tenant", default=TENANT, show_default=True, help="Whose session it is.")
@click.option("-o", "--output", "pack", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--through", type=int, default=0, metavar="NUMBER", help="Reach up to this checkpoint at least.")
@click.option("--redact-facts", is_flag=True, help="Leave out arguments and other facts; their hashes stay.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@data_dir_option
@show.json_option
def export(session: str, tenant: str, pack: Path, data_dir: Path, as_json: bool, **how: Any) -> None:
    """Write the evidence pack of a session.

    It is read from the data directory, also while a kernel runs, verified before it is written, and signed
    with the directory's evidence key.
    """
    place = open_place(data_dir)
    if pack.exists() and not how["force"]:
        raise Failed(f"{pack} is there already", "name another file, or say --force", "EXISTS")
    show.note(f"reading {place.journal_path}")
    selection = Selection(tenant=tenant, session_id=session, through=how["through"])
    about = export_pack(place, selection, pack, redact_facts=how["redact_facts"])
    if as_json:
        show.as_object({"pack": str(pack), "bytes": pack.stat().st_size, **attrs.asdict(about)})
    else:
        show.fields(
            [
                ("pack", f"{pack}, {pack.stat().st_size:,} bytes"),
                ("receipts", str(about.receipts)),
                ("open intents", str(about.open_intents)),
                ("log", about.log_id),
            ]
        )
    show.note(f"Whoever knows the log verifies it: helm verify {pack} --log-id {about.log_id}")


def export_pack(place: Installation, selection: Selection, pack: Path, *, redact_facts: bool = False) -> Subject:
    """Write the pack of the session that the empty `selection` names. Raises Invalid where the log does not verify."""
    with glance(place.journal_path) as journal:
        select(journal, selection)
    check_reached(selection)
    material = PackMaterial(selection=selection, script=replay_script(), redact_facts=redact_facts)
    return write_pack(material, place.evidence_key(), pack)


def check_reached(selection: Selection) -> None:
    """Raise Failed where the log has not come to the checkpoint that was asked for."""
    payloads = [entry["node"]["payload"] for entry in selection.entries]
    reached = max((said["checkpoint"]["sequence"] for said in payloads if "checkpoint" in said), default=0)
    if reached < selection.through:
        raise Failed(
            f"there is no checkpoint {selection.through} yet", "`helm checkpoint list` shows them", "NOT_FOUND"
        )


def select(journal: Glance, selection: Selection) -> None:
    """Read the log as it stands now: once, and once more where a node relied on another session's. Raises Invalid."""
    head = journal.head()
    for entry in entries(journal, head):
        selection.take(entry)
    missing = selection.missing()
    if missing:
        for entry in entries(journal, head):
            selection.locate(entry, missing)


def entries(journal: Glance, head: int) -> Iterator[Entry]:
    """Yield every entry up to number `head`, in order."""
    done = 0
    with bar("reading the journal") as shown:
        while page := journal.page(done + 1, min(PAGE, head - done)):
            for seq, body in page:
                done = seq
                yield reread(body)
            shown.move(done, head)
