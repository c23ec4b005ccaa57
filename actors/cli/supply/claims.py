"""helm supply verify-rekor, verify-slsa: what a log holds, and what a builder says, checked against what you trust."""

from __future__ import annotations

from pathlib import Path

import click

from actors.cli import show
from actors.cli.supply.telling import tell
from actors.outside.file import digest_of, read_whole
from helm.crypto.dsse import MAX_ENVELOPE_BYTES, read_envelope
from helm.supply.log_checkpoint import Log
from helm.supply.log_entry import MAX_FILE_BYTES
from helm.supply.outside_key import MAX_TEXT, OutsideKey, read_key
from helm.supply.provenance_policy import MAX_POLICY_BYTES
from helm.supply.rekor import LogReading, verify_log_entry
from helm.supply.slsa import ProvenanceReading, verify_provenance

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(short_help="Verify that a log holds an entry about what you hold.")
@click.argument("entry", type=FILE)
@click.option("--log", "name", required=True, help="The log's name, as its checkpoints begin: rekor.sigstore.dev")
@click.option("--log-key", type=FILE, required=True, help="The log's public key, PEM: Ed25519 or P-256.")
@click.option("--artifact", type=FILE, help="What was signed.")
@click.option("--envelope", type=FILE, help="The DSSE envelope that was logged.")
@click.option("--signer-key", type=FILE, help="The only public key under which it may have been logged.")
@show.json_option
def verify_rekor(entry: Path, name: str, log_key: Path, as_json: bool, **held: Path | None) -> int:
    """Verify ENTRY, a log's answer for one entry or a Sigstore bundle, against a log that you trust.

    A log proves that something was shown to it. Whose key signed it is yours to know: --signer-key.
    """
    artifact, envelope, signer = held["artifact"], held["envelope"], held["signer_key"]
    reading = LogReading(
        raw=read_whole(entry, MAX_FILE_BYTES),
        log=Log(name=name, key=key_in(log_key)),
        artifact=None if artifact is None else digest_of(artifact),
        envelope=None if envelope is None else read_envelope(read_whole(envelope, MAX_ENVELOPE_BYTES)),
        signer=None if signer is None else key_in(signer),
    )
    return tell(verify_log_entry(reading), as_json=as_json)


def key_in(path: Path) -> OutsideKey:
    """Return the public key of a file. Raises Invalid."""
    return read_key(read_whole(path, MAX_TEXT).decode("ascii", "replace"))


@click.command(short_help="Verify build provenance against a policy.")
@click.argument("envelope", type=FILE)
@click.option("--policy", type=FILE, required=True, help="Which builders, ways of building and sources are taken.")
@click.option("--artifact", type=FILE, required=True, help="What was built.")
@show.json_option
def verify_slsa(envelope: Path, policy: Path, artifact: Path, as_json: bool) -> int:
    """Verify ENVELOPE, SLSA provenance v1 in a DSSE envelope, for an artifact that you hold.

    Whatever the policy does not name is refused, and an empty list names nothing.
    """
    reading = ProvenanceReading(
        raw=read_whole(envelope, MAX_ENVELOPE_BYTES),
        policy_raw=read_whole(policy, MAX_POLICY_BYTES),
        artifact=digest_of(artifact),
    )
    return tell(verify_provenance(reading), as_json=as_json)
