"""helm evidence: put sessions into a pack that a stranger can verify without us."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import click

from actors.cli import show
from actors.cli.anchoring import anchor
from actors.cli.bar import bar
from actors.cli.condensing import condense, rehydrate
from actors.cli.envelope.group import envelope
from actors.cli.envelope.making import KIND, beside, check_free, experimental_option, wrap_beside
from actors.cli.evidence_look import diff, graph
from actors.cli.failure import Failed
from actors.cli.host_evidence import attach_host_chain, correlate_host
from actors.cli.place import data_dir_option, open_place
from actors.evidence.crew import crew
from actors.evidence.export import glance_over, replay_script, write_pack
from actors.evidence.spool import file_spools
from actors.founding import TENANT
from actors.installation import Installation
from actors.stores.glance import glance
from helm.evidence.envelopes.kinds import EnvelopeKind
from helm.evidence.envelopes.wrap import check_wanted
from helm.evidence.pack import PackMaterial
from helm.evidence.report import Subject
from helm.evidence.scope import RANGE, WHOLE, Scope
from helm.evidence.selection import NotThere, Selection
from helm.evidence.spool import InMemory, Spool

END_OF_TIME_MS = 253_402_300_800_000
"""The first moment of the year 10000: later than anything that is written down."""


class Moment(click.ParamType[int]):
    """A point in time, as ISO 8601 writes it; milliseconds since 1970 for us."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the milliseconds."""
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a moment like 2026-11-21 or 2026-11-21T09:30:00Z", param, ctx)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


MOMENT = Moment()


@click.group()
def evidence() -> None:
    """Export evidence packs, condense them, wrap them, and look at them."""


evidence.add_command(graph)
evidence.add_command(diff)
evidence.add_command(envelope)
evidence.add_command(condense)
evidence.add_command(rehydrate)
evidence.add_command(attach_host_chain)
evidence.add_command(correlate_host)
evidence.add_command(anchor)


@evidence.command(short_help="Write the pack of a session, a time, or the log.")
@click.option("--session", help="The session whose calls are exported.")
@click.option("--tenant", default=TENANT, show_default=True, help="Whose session it is.")
@click.option("--from", "begin", type=MOMENT, help="Every session that had a call from this moment on.")
@click.option("--until", "end", type=MOMENT, help="Every session that had a call before this moment.")
@click.option("--whole", is_flag=True, help="The whole log.")
@click.option("-o", "--output", "pack", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--through", type=int, default=0, metavar="NUMBER", help="Reach up to this checkpoint at least.")
@click.option("--redact-facts", is_flag=True, help="Leave out arguments and other facts; their hashes stay.")
@click.option("--envelope", "kind", type=KIND, help="Write an envelope of this form beside the pack.")
@experimental_option
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@data_dir_option
@show.json_option
def export(pack: Path, data_dir: Path, kind: str | None, experimental: bool, as_json: bool, **how: Any) -> None:
    """Write the evidence pack of a session, of a range of time, or of the whole log.

    A session is in a pack from its first call to its last, whatever the range. Moments are written like 2026-11-21 or
    2026-11-21T09:30:00+01:00, in UTC where they do not say otherwise.

    It is read from the data directory, also while a kernel runs, verified before it is written, and signed
    with the directory's evidence key.
    """
    if kind is not None:
        check_wanted(EnvelopeKind(kind), experimental=experimental)
        check_free(beside(pack, kind), force=how["force"])
    asked = {name: how[name] for name in ("session", "tenant", "begin", "end", "whole", "through")}
    selection_of(**asked)  # says at once what is wrong with it
    place = open_place(data_dir)
    if pack.exists() and not how["force"]:
        raise Failed(f"{pack} is there already", "name another file, or say --force", "EXISTS")
    show.note(f"reading {place.journal_at}")
    with file_spools() as spool:
        about = export_pack(place, selection_of(**asked, spool=spool), pack, redact_facts=how["redact_facts"])
    made = [] if kind is None else [("envelope", str(wrap_beside(place, pack, kind, experimental=experimental)))]
    if as_json:
        show.as_object({"pack": str(pack), "bytes": pack.stat().st_size, **attrs.asdict(about), **dict(made)})
    else:
        show.fields(
            [
                ("pack", f"{pack}, {pack.stat().st_size:,} bytes"),
                ("sessions", str(about.sessions)),
                ("receipts", str(about.receipts)),
                ("open intents", str(about.open_intents)),
                ("log", about.log_id),
                *made,
            ]
        )
    show.note(f"Whoever knows the log verifies it: helm verify {pack} --log-id {about.log_id}")


def selection_of(  # noqa: PLR0913 - one for each option
    *,
    session: str | None,
    tenant: str,
    begin: int | None,
    end: int | None,
    whole: bool,
    through: int = 0,
    spool: Callable[[], Spool] = InMemory,
) -> Selection:
    """Return the empty selection that is asked for. Raises UsageError where that is none, or more than one."""
    in_time = begin is not None or end is not None
    if [session is not None, in_time, whole].count(True) != 1:
        raise click.UsageError("what is the pack about? Give one of --session, --from and --until, or --whole")
    if session is not None:
        return Selection(tenant=tenant, session_id=session, through=through, spool=spool)
    if whole:
        return Selection(scope=Scope(WHOLE), through=through, spool=spool)
    in_range = Scope(RANGE, begin or 0, END_OF_TIME_MS if end is None else end)
    return Selection(scope=in_range, through=through, spool=spool)


def export_pack(place: Installation, selection: Selection, pack: Path, *, redact_facts: bool = False) -> Subject:
    """Write the pack that the empty `selection` is for. Raises Invalid where the log does not verify."""
    with glance(place.journal_at) as journal, bar("reading the journal") as shown:
        glance_over(journal, selection, shown.move)
    try:
        selection.check_reached()
    except NotThere as problem:
        raise Failed(problem.what, problem.hint, "NOT_FOUND") from problem
    material = PackMaterial(selection=selection, script=replay_script(), redact_facts=redact_facts)
    with crew() as helpers:
        return write_pack(material, place.evidence_key(), pack, helpers)
