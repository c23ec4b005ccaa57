"""helm verify external-receipt: believe what a recorder outside HELM wrote, or name the check that refuses it."""

from __future__ import annotations

from pathlib import Path

import click

from actors.cli import show
from actors.cli.failure import REFUSED
from helm.contracts.errors import Invalid
from helm.evidence.host_chain import MAX_FILE_BYTES, NOT_VERIFIED, ChainReport, verify_chain
from helm.evidence.host_key import HostKey

MAX_KEY_BYTES = 4096
"""Longest file of a public key that is looked at (T4)."""


@click.command("external-receipt", short_help="Verify a chain of host receipts.")
@click.option("--chain", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The recorder's file.")
@click.option("--public-key", required=True, help="The recorder's public key in hex, or a file that holds it.")
@show.json_option
def external_receipt(chain: Path, public_key: str, as_json: bool) -> int:
    """Verify the host receipts in a file: a chain object, an array, one receipt, or JSONL.

    The key is the one that you were given by another way: 64 hex digits for Ed25519, 130 for P-256 (ES256). Exit 0 only
    when every check was made and held. What a receipt claims of hardware is never verified.
    """
    report = verify_chain(read_chain_file(chain), read_key(public_key))
    if as_json:
        show.as_object(report.body())
    else:
        tell(report)
    return 0 if report.verified else REFUSED


def read_key(text: str) -> HostKey:
    """Return the key that is written out, or that stands in the file of that name. Raises Invalid."""
    path = Path(text)
    if len(text) >= 64 and not path.is_file():
        return HostKey.read(text, "--public-key")
    return HostKey.read(read_bounded(path, MAX_KEY_BYTES).decode("ascii", "replace"), text)


def read_chain_file(path: Path) -> bytes:
    """Return the bytes of a chain's file. Raises Invalid."""
    return read_bounded(path, MAX_FILE_BYTES)


def read_bounded(path: Path, at_most: int) -> bytes:
    """Return the bytes of a file. Raises Invalid for one that is longer than anybody looks at."""
    try:
        with path.open("rb") as file:
            raw = file.read(at_most + 1)
    except OSError as problem:
        raise Invalid(f"cannot be read: {problem.strerror}", str(path), "name a file that is there") from problem
    if len(raw) > at_most:
        raise Invalid(f"more than {at_most} bytes", str(path), "verify it in parts")
    return raw


def tell(report: ChainReport) -> None:
    """Write each check by number and name, then the whole."""
    reached = True
    for outcome in report.outcomes:
        state = "ok" if outcome.ok else "fail" if reached else "note"
        reached = reached and outcome.ok
        mark = show.marked(state.ljust(4) if state != "note" else "-   ", *show.STATES[state])
        click.echo(f"{outcome.number:2d} {mark}  {outcome.name:<10} {show.plain(outcome.detail or outcome.promise)}")
    if not report.verified or report.chain is None:
        click.echo(click.style("\nNOT VERIFIED: believe nothing in it", fg="red", bold=True))
        return
    said = report.chain.body()
    click.echo(click.style("\nVERIFIED", fg="green", bold=True))
    click.echo(f"{said['receipts']} receipts of {show.plain(said['host_id'])}, begin behind {said['begins']}")
    if report.chain.hardware_roots:
        click.echo(f"{report.chain.hardware_roots} of them claim a hardware root: {NOT_VERIFIED}")
