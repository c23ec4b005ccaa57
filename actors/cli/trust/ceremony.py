"""helm trust sign, helm trust apply: an event goes from administrator to administrator until enough have signed it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from actors.cli import keys, show
from actors.cli.keys import token_of, token_options
from actors.cli.place import data_dir_option
from actors.cli.server import server_option
from actors.cli.trust.changing import PURPOSES, Desk, promote, replaces_own
from actors.founding import DRAFT_FILE, complete
from actors.installation import GENESIS_FILE
from actors.keys.trust_file import TrustFile, read_trust_file
from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose
from helm.trust.event import JointEvent, TrustEvent, cosign


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--for", "purpose", type=PURPOSES, default=KeyPurpose.TRUST_ADMIN.value, show_default=True)
@token_options
@show.json_option
def key(file: Path, purpose: str, as_json: bool, **token: str | None) -> None:
    """Make a key of your own in a new FILE, wherever you keep it, and show its public half.

    With --pkcs11 it is made in your token, and FILE refers to it.
    """
    made = keys.write_new(file, KeyPurpose(purpose), token_of(**token))
    if as_json:
        show.as_object({"key_id": made.key_id, "public_key": made.public_key})
    else:
        show.fields([("key", made.key_id), ("public key", made.public_key)])


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--key", "key_file", required=True, type=click.Path(path_type=Path), help="The file of a trust-admin key of yours."
)
@token_options
@show.json_option
def sign(file: Path, key_file: Path, as_json: bool, **token: str | None) -> None:
    """Put your signature beside the events in FILE. It needs no data directory and no network: look at them first."""
    given, signer = read_trust_file(file), keys.read(key_file, KeyPurpose.TRUST_ADMIN, token_of(**token))
    signed = TrustFile(given.log_id, tuple(cosign(event, signer) for event in given.events))
    signed.write(file)
    if as_json:
        show.as_object({"log_id": signed.log_id, "signed_by": signer.key_id, "signers": signers(signed)})
        return
    for event in signed.events:
        words = (event.kind, event.purpose, event.key_id, event.replaces and f"for {event.replaces}", event.reason)
        show.note("  ".join(show.plain(word) for word in words if word))
    show.fields([("signed by", signer.key_id), ("signers", ", ".join(signers(signed)))])


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@data_dir_option
@server_option
@show.json_option
def apply(file: Path, **where: Any) -> None:
    """Hand in the event in FILE, once enough have signed; or complete a data directory with its signed genesis."""
    given, path = read_trust_file(file), where["data_dir"]
    if (path / DRAFT_FILE).exists() and not (path / GENESIS_FILE).exists():
        complete(path, given)
        told: dict[str, Any] = {"events": len(given.events), "log_id": given.log_id}
    else:
        told = hand_in(given, where)
    if where["as_json"]:
        show.as_object(told)
    else:
        show.fields([(name, str(value)) for name, value in told.items()])


def hand_in(given: TrustFile, where: dict[str, Any]) -> dict[str, Any]:
    """Have a kernel take the one event of a file; put a key that it rotates in its place. Raises Invalid and Failed."""
    if len(given.events) != 1:
        raise Invalid(f"{len(given.events)} events", "trust file", "hand in one event at a time")
    desk, event = Desk.open(where), given.events[0]
    told = desk.hand_in(event)
    if replaces_own(event, desk.place):
        promote(desk.place, KeyPurpose(event.purpose))
    return told


def signers(file: TrustFile) -> list[str]:
    """Return who has signed all the events of a file."""
    names = [{event.signed_by, *cosigners(event)} for event in file.events]
    return sorted(set.intersection(*names)) if names else []


def cosigners(event: TrustEvent) -> set[str]:
    return set(event.cosignatures) if isinstance(event, JointEvent) else set()
