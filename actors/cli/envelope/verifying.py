"""helm evidence envelope verify: what an envelope proves to whoever brings a key, and the evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from actors.cli import show
from actors.cli.checkpoint.source import read_file
from actors.cli.envelope.making import ENVELOPES, experimental_option
from actors.cli.envelope.reading import find
from actors.cli.failure import REFUSED, Failed
from actors.cli.place import data_dir_option, open_place
from actors.cli.server import Server, server_option, server_url
from actors.evidence.crew import crew
from actors.trust_log import registry_of
from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue
from helm.crypto.canonical import parse
from helm.crypto.ed25519 import PublicKey, SignatureInvalid
from helm.crypto.radix64 import from_base64
from helm.evidence.envelopes.envelope_manifest import NAME
from helm.evidence.envelopes.examine import EnvelopeTrust, Examination, State, examine
from helm.evidence.envelopes.native import read_native, root_of
from helm.evidence.trust_root import TrustRoot
from helm.trust.registry import Registry

PROVED = {
    "nothing": "NOT VERIFIED. Believe nothing in it.",
    "signature": "VERIFIED: the key signed this statement. Nothing was proved about any evidence: hand it in.",
    "evidence": "VERIFIED: the statement is about this evidence. Whether the evidence holds, was not asked.",
    "native": "VERIFIED: the statement is about this evidence, and the evidence holds.",
}
PINS = ("log_id", "genesis_key", "execution_key")

STATES = {"held": "ok", "failed": "fail", "not made": "note"}


@click.command()
@click.argument("name", metavar="ENVELOPE")
@click.option("--evidence", type=click.Path(path_type=Path), help="The pack, receipt or checkpoint that it is around.")
@click.option("--manifest", type=click.Path(path_type=Path), help="The manifest that came with it.")
@click.option("--evidence-key", default="", metavar="HEX", help="The only key that may have signed it, 64 digits.")
@click.option("--log-id", default="", help="For the evidence itself: the log that you were told of.")
@click.option("--genesis-key", default="", help="Likewise: the public key of the log's first event.")
@click.option("--execution-key", default="", help="Likewise: the public key that signs receipts and checkpoints.")
@experimental_option
@data_dir_option
@server_option
@show.json_option
def verify(name: str, experimental: bool, data_dir: Path, server: str | None, as_json: bool, **how: Any) -> int:
    """Verify ENVELOPE: a file, or one that was made here, by its id.

    The key comes from you: --evidence-key, or the log of the data directory. With --evidence it is compared with what
    the envelope says, and with a pin for that evidence it is verified as well. Exit 0 where every check held that was
    made; what that proves is in the last line, and in `proved`.
    """
    is_kept = NAME.fullmatch(name) is not None and not Path(name).exists()
    url = server_url(data_dir, server) if is_kept else ""
    if url:
        if any(how.values()):
            raise click.UsageError("a kernel asked by --server brings its own log: leave out keys, pins and files")
        report = Server(url).post(f"{ENVELOPES}/{name}/verify", {})
        return tell(report, as_json=as_json)
    evidence = None if how["evidence"] is None else read_file(how["evidence"])
    kept = find(name, data_dir, "") if is_kept else None
    examination = Examination(
        raw=read_file(Path(name)) if kept is None else from_base64(kept["envelope"]),
        trust=trust_of(how["evidence_key"], data_dir, evidence, {pin: how[pin] for pin in PINS}),
        experimental=experimental,
        manifest=None if kept is None else kept["manifest"],
        evidence=evidence,
    )
    if how["manifest"] is not None:
        examination.manifest = manifest_in(how["manifest"])
    with crew() as helpers:
        examination.helpers = helpers
        report = examine(examination).body()
    return tell(report, as_json=as_json)


def trust_of(evidence_key: str, data_dir: Path, evidence: bytes | None, pins: dict[str, str]) -> EnvelopeTrust:
    """Return what the caller trusts: the key and the pins given, or the log of the data directory. Raises Failed."""
    root = TrustRoot(**pins) if any(pins.values()) else None
    if evidence_key:
        try:
            return EnvelopeTrust(key=PublicKey.from_hex(evidence_key), root=root)
        except SignatureInvalid as problem:
            raise Failed(str(problem), "--evidence-key is 64 lower-case hex digits", "USAGE") from problem
    registry = registry_of(open_place(data_dir))
    show.note(f"trusting the log of {data_dir}: {registry.log_id}")
    return EnvelopeTrust(registry=registry, root=root or own_root(evidence, registry))


def own_root(evidence: bytes | None, registry: Registry) -> TrustRoot | None:
    """Return what the log trusts of a piece of evidence, None where there is none, or nothing that can be read."""
    try:
        return None if evidence is None else root_of(read_native(evidence), registry)
    except Invalid:
        return None


def manifest_in(path: Path) -> JSONValue:
    """Return the manifest in a file, also where it was shown with its envelope. Raises Failed."""
    try:
        body = parse(read_file(path))
    except Malformed as problem:
        raise Failed(f"{path} is not JSON: {problem}", "hand over the file as it was written") from problem
    return body["manifest"] if type(body) is dict and "manifest" in body else body


def tell(report: dict[str, Any], *, as_json: bool) -> int:
    """Write a report; return the exit code."""
    if as_json:
        show.as_object(report)
    else:
        for check in report["checks"]:
            word = STATES[check["state"]]
            mark = show.marked(word.ljust(4) if word != "note" else "-   ", *show.STATES[word])
            said = show.plain(check["detail"] or check["promise"])
            click.echo(f"{check['number']:2d} {mark}  {check['name']:<10} {said}")
        colour = "green" if report["verified"] else "red"
        click.echo(click.style("\n" + PROVED[report["proved"]], fg=colour, bold=True))
    failed = any(check["state"] == State.FAILED for check in report["checks"])
    return REFUSED if failed or not report["verified"] else 0
