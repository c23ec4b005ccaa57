"""helm evidence envelope create: signs an envelope around evidence that holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from actors.cli import show
from actors.cli.checkpoint.source import find as find_checkpoint
from actors.cli.checkpoint.source import read_file
from actors.cli.failure import Failed
from actors.cli.place import data_dir_option, open_place
from actors.cli.receipt_source import JournalReceipts
from actors.cli.server import API, Server, server_option, server_url
from actors.evidence.crew import crew
from actors.evidence.envelopes import Envelopes, Kept
from actors.evidence.errands import wrap_made
from actors.installation import Installation
from actors.process import durable
from actors.process.clock import SystemClock
from actors.trust_log import registry_of
from helm.crypto.canonical import canonical
from helm.crypto.radix64 import from_base64
from helm.evidence.envelopes.kinds import SUFFIXES, EnvelopeKind
from helm.evidence.envelopes.native import check_native, read_native, root_of
from helm.evidence.envelopes.wrap import check_counts, check_wanted, wrap

ENVELOPES: Final = f"{API}/evidence/envelopes"

KIND: Final = click.Choice([kind.value for kind in EnvelopeKind])

experimental_option = click.option(
    "--experimental", is_flag=True, help="Allow cose and scitt, whose form may still change."
)


@click.command()
@click.argument("evidence", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--envelope", "kind", type=KIND, required=True, help="In which form.")
@click.option("--receipt", default="", metavar="ID", help="Around this receipt of the log.")
@click.option("--checkpoint", default="", metavar="NAME", help="Around this checkpoint: an id, a number, or latest.")
@experimental_option
@click.option("-o", "--output", "out", type=click.Path(path_type=Path, dir_okay=False), help="Write it to this file.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@data_dir_option
@server_option
@show.json_option
def create(kind: str, experimental: bool, data_dir: Path, server: str | None, as_json: bool, **how: Any) -> None:
    """Sign an envelope around EVIDENCE: a pack, or the JSON of a receipt or checkpoint, of this log.

    It is verified first, and the envelope is kept in the data directory. With --server an operator's key has the kernel
    do it, around a receipt or checkpoint of its own log.
    """
    evidence, out = how["evidence"], how["out"]
    given = {name: how[name] for name in ("receipt", "checkpoint") if how[name]}
    if len(given) + (evidence is not None) != 1:
        raise click.UsageError("an envelope around what? Give one of EVIDENCE, --receipt, --checkpoint")
    check_wanted(EnvelopeKind(kind), experimental=experimental)
    check_free(out, force=how["force"])
    url = server_url(data_dir, server)
    if url and evidence is not None:
        hint = "where the file is, run it on the data directory of its log; a kernel wraps --receipt and --checkpoint"
        raise Failed("a kernel signs nothing that it has not in its own log", hint, "USAGE")
    if url:
        made = on_server(Server(url), kind, given, experimental=experimental)
    else:
        place = open_place(data_dir)
        raw = (
            read_file(evidence)
            if evidence is not None
            else evidence_in(place, **{"receipt": "", "checkpoint": "", **given})
        )
        made = wrap_here(place, raw, EnvelopeKind(kind), experimental=experimental).body()
    if out is not None:
        durable.replace(out, from_base64(made["envelope"]))
        show.note(f"wrote {out}")
    tell(made, as_json=as_json)


def check_free(path: Path | None, *, force: bool) -> None:
    """Raise Failed where a file stands that nobody said may be written over."""
    if path is not None and path.exists() and not force:
        raise Failed(f"{path} is there already", "name another file, or say --force", "EXISTS")


def on_server(server: Server, kind: str, given: dict[str, str], *, experimental: bool) -> dict[str, Any]:
    """Have a running kernel make an envelope; return it as it is shown. Raises Failed."""
    names = {"receipt": "receipt_id", "checkpoint": "checkpoint"}
    body: dict[str, Any] = {"envelope": kind, **{names[name]: value for name, value in given.items()}}
    made = server.post(ENVELOPES, body | ({"experimental": True} if experimental else {}))
    return dict(server.get(f"{ENVELOPES}/{made['manifest_id']}", {}))


def evidence_in(place: Installation, *, receipt: str, checkpoint: str) -> bytes:
    """Return the receipt or checkpoint that a journal holds. Raises Failed."""
    if checkpoint:
        return canonical(find_checkpoint(place, "", checkpoint))
    story = JournalReceipts(place.journal_at).find(receipt)
    if story is None:
        raise Failed(f"there is no receipt {receipt}", "`helm receipts list` shows them", "NOT_FOUND")
    return canonical(story["receipt"])


def wrap_here(place: Installation, raw: bytes, kind: EnvelopeKind, *, experimental: bool) -> Kept:
    """Sign an envelope around evidence of this directory's log, and keep it. Raises Invalid where it does not hold."""
    native, registry, pen = read_native(raw), registry_of(place), place.evidence_key()
    check_counts(registry, pen)
    with crew() as helpers:
        check_native(native, root_of(native, registry), helpers)
    envelope = wrap(native, kind, pen, experimental=experimental)
    return Envelopes.of(place.path).keep(envelope, SystemClock().now_ms())


def beside(pack: Path, kind: str) -> Path:
    """Return the file of the envelope of a pack."""
    return pack.with_name(pack.name + SUFFIXES[EnvelopeKind(kind)])


def wrap_beside(place: Installation, pack: Path, kind: str, *, experimental: bool) -> Path:
    """Write the envelope of a pack, made just now, beside it, and return where. Raises Invalid."""
    with pack.open("rb") as file:
        kept = wrap_made(place, file, kind, experimental, SystemClock().now_ms())
    durable.replace(beside(pack, kind), kept.envelope.raw)
    return beside(pack, kind)


def tell(made: dict[str, Any], *, as_json: bool) -> None:
    """Write what is known of an envelope."""
    if as_json:
        show.as_object(made)
        return
    show.fields([(name, show.plain(str(value))) for name, value in made["manifest"].items()])
