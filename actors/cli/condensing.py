"""helm evidence condense, rehydrate: a pack without the receipts of low risk, and the whole pack again."""

from __future__ import annotations

from pathlib import Path

import click

from actors.cli import show
from actors.cli.failure import Failed
from actors.cli.place import data_dir_option, open_place
from actors.cli.verify import read_pack
from actors.process import durable
from helm.evidence.condense import condense as condensed
from helm.evidence.condense import rehydrate as whole
from helm.evidence.trust_root import TrustRoot
from helm.evidence.verify import check_pack

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("pack", type=FILE)
@click.option("-o", "--output", required=True, type=FILE, help="The condensed pack.")
@click.option("--cold", required=True, type=FILE, help="The file for what is taken out; keep it.")
@data_dir_option
@show.json_option
def condense(pack: Path, output: Path, cold: Path, data_dir: Path, as_json: bool) -> None:
    """Take receipts of low risk out of a PACK.

    Their leaves under the log's checkpoints stand for them: T0 and T1 calls that succeeded without an approval, T2
    calls once they are 30 days old, T3 never. The condensed pack verifies as before; with the cold file it becomes
    the whole pack again, byte for byte.
    """
    for path in (output, cold):
        if path.exists():
            raise Failed(f"{path} is there already", "name another file", "EXISTS")
    place, raw = open_place(data_dir), read_pack(pack)
    made = condensed(check_pack(raw, TrustRoot(log_id=place.log_id)), place.evidence_key())
    check_pack(made.pack, TrustRoot(log_id=place.log_id))
    durable.replace(cold, made.cold)  # first: nobody may have a condensed pack whose rest is nowhere
    durable.replace(output, made.pack)
    told = {"bytes": len(made.pack), "bytes_before": len(raw), "cold": str(cold), "cold_bytes": len(made.cold)}
    tell(told | {"condensed": made.receipts, "pack": str(output)}, as_json=as_json)


@click.command()
@click.argument("pack", type=FILE)
@click.option("--cold", required=True, type=FILE, help="The file that it was condensed into.")
@click.option("-o", "--output", required=True, type=FILE, help="The whole pack.")
@click.option("--log-id", default="", help="The log that you trust; without it, the data directory's.")
@data_dir_option
@show.json_option
def rehydrate(pack: Path, cold: Path, output: Path, log_id: str, data_dir: Path, as_json: bool) -> None:
    """Make a condensed PACK whole again.

    Both files are verified; no key is needed.
    """
    if output.exists():
        raise Failed(f"{output} is there already", "name another file", "EXISTS")
    root = TrustRoot(log_id=log_id or open_place(data_dir).log_id)
    raw = whole(check_pack(read_pack(pack), root), read_pack(cold))
    reading = check_pack(raw, root)
    durable.replace(output, raw)
    tell({"bytes": len(raw), "pack": str(output), "receipts": len(reading.receipts)}, as_json=as_json)


def tell(told: dict[str, object], *, as_json: bool) -> None:
    """Say what became of it."""
    if as_json:
        show.as_object(told)
    else:
        show.fields([(name.replace("_", " "), str(value)) for name, value in told.items()])
