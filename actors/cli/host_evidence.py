"""helm evidence attach-host-chain, correlate-host: what a recorder on a host saw, beside a pack and held against it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from actors.cli import show
from actors.cli.external_receipt import read_chain_file, read_key
from actors.cli.failure import REFUSED, Failed
from actors.cli.place import data_dir_option, open_place
from actors.cli.verify import host_key_option, host_keys, read_pack, trust_root
from actors.installation import GENESIS_FILE, Installation
from actors.process import durable
from helm.contracts.errors import Invalid
from helm.crypto.ed25519 import Signer
from helm.evidence.attach import attach, note_drift
from helm.evidence.correlate import Correlation, correlate
from helm.evidence.drift import Drift, body_of, read
from helm.evidence.drift import sign as signed
from helm.evidence.host_chain import NOT_VERIFIED, HostChain, read_chain
from helm.evidence.layout import HOST, HOST_DRIFT
from helm.evidence.reading import Reading
from helm.evidence.scope import SESSION
from helm.evidence.trust_root import TrustRoot
from helm.evidence.verify import check_pack

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("attach-host-chain", short_help="Put a recorder's chain beside a pack.")
@click.option("--bundle", required=True, type=FILE, help="The evidence pack.")
@click.option("--chain", required=True, type=FILE, help="What the recorder wrote.")
@click.option("--out", required=True, type=FILE, help="The new pack.")
@click.option("--source", required=True, help="A name for the recorder, such as host-1.")
@click.option("--public-key", help="The recorder's key: then the chain's signatures must hold as well.")
@data_dir_option
@show.json_option
def attach_host_chain(bundle: Path, chain: Path, out: Path, data_dir: Path, as_json: bool, **whose: Any) -> None:
    """Write a new pack with a chain of host receipts beside the evidence.

    Pack and chain are verified. The pack as it was exported stays inside, manifest and all; the new one is signed with
    the directory's evidence key. Same pack and same chain, same bytes.
    """
    check_free(out)
    place, source, public_key = open_place(data_dir), whose["source"], whose["public_key"]
    found = chain_of(chain, public_key)
    reading = check_pack(read_pack(bundle), TrustRoot(log_id=place.log_id))
    raw = attach(reading, source, found, place.evidence_key())
    attached = check_pack(raw, TrustRoot(log_id=place.log_id))
    durable.replace(out, raw)
    native = attached.native.manifest_hash if attached.native is not None else ""
    checked = "verified" if public_key else NOT_VERIFIED
    told = {
        "bytes": len(raw),
        "native_evidence_hash": native,
        "pack": str(out),
        "signatures": checked,
        "source": source,
    }
    tell_fields(told | found.body(), as_json=as_json)


@click.command("correlate-host", short_help="Hold what hosts saw against the evidence.")
@click.option("--bundle", required=True, type=FILE, help="A pack with host evidence.")
@click.option("--out", type=FILE, help="Write a pack with the signed drift beside the chains.")
@click.option("--complete", is_flag=True, help="The recorders saw every connection: a call they did not see is drift.")
@click.option("--log-id", default="", help="The log that you trust; without any pin, the data directory's.")
@click.option("--genesis-key", default="", help="The public key of the log's first event.")
@click.option("--execution-key", default="", help="The only public key that may sign receipts.")
@click.option("--checkpoint", default="", help="The hash of a checkpoint that the pack must hold.")
@host_key_option
@data_dir_option
@show.json_option
def correlate_host(bundle: Path, out: Path | None, complete: bool, data_dir: Path, as_json: bool, **pins: Any) -> int:
    """Tell for each host receipt which call explains it, and where none does: boundary drift.

    Drift is signed with the evidence key of the data directory where that is the pack's own log; without it, the drift
    is told and not signed. Exit 1 where there is drift.
    """
    place = own_place(data_dir)
    if not any(pins[name] for name in ("log_id", "genesis_key", "execution_key", "checkpoint")):
        pins["log_id"] = (place or open_place(data_dir)).log_id
    keys = host_keys(pins.pop("host_key"))
    reading = check_pack(read_pack(bundle), trust_root(data_dir=None, **pins), host_keys=keys)
    signer = place.evidence_key() if place is not None and place.log_id == reading.log_id else None
    found = correlate(reading, complete=complete)
    drifts = found.drifts(reading, signer.key_id if signer is not None else "")
    lines = signed(drifts, signer) if signer is not None and drifts else b""
    check_agrees(reading, drifts)
    if out is not None:
        write_pack(reading, lines, out, signer)
    tell(reading, found, report(reading, found, drifts, lines), as_json=as_json)
    return REFUSED if drifts else 0


def own_place(data_dir: Path) -> Installation | None:
    """Return the installation in a directory, None where there is none."""
    return open_place(data_dir) if (data_dir / GENESIS_FILE).exists() else None


def check_free(out: Path) -> None:
    """Raise Failed where a file is there already."""
    if out.exists():
        raise Failed(f"{out} is there already", "name another file", "EXISTS")


def chain_of(path: Path, public_key: str | None) -> HostChain:
    """Return the chain in a file, its signatures checked where a key was brought. Raises Invalid."""
    chain = read_chain(read_chain_file(path))
    if public_key:
        read_key(public_key).check([*chain.receipts])
    return chain


def check_agrees(reading: Reading, drifts: list[Drift]) -> None:
    """Raise Invalid where drift was noted in the pack before, and is not what comes out now."""
    raw = reading.members.get(HOST_DRIFT)
    if raw is None:
        return
    noted = [one.but(key_id="") for one, _ in read(raw, HOST_DRIFT)]
    if noted != [one.but(key_id="") for one in drifts]:
        raise Invalid("is not what comes out now", HOST_DRIFT, "was it noted with --complete? Else do not believe it")


def write_pack(reading: Reading, lines: bytes, out: Path, signer: Signer | None) -> None:
    """Write the pack with signed drift in it. Raises Failed, Invalid."""
    check_free(out)
    if signer is None:
        raise Failed("this is not the pack's own log: nobody here may sign", "name its --data-dir", "NO_KEY")
    if not lines or HOST_DRIFT in reading.members:
        raise Failed("there is no drift to note, or it is noted already", "leave out --out", "NOTHING_TO_DO")
    raw = note_drift(reading, lines, signer)
    check_pack(raw, TrustRoot(log_id=reading.log_id))
    durable.replace(out, raw)
    show.note(f"wrote {out}")


def report(reading: Reading, found: Correlation, drifts: list[Drift], lines: bytes) -> dict[str, Any]:
    """Return what came out as a JSON object. Raises Invalid where there is no host evidence."""
    if reading.native is None:
        raise Invalid("there is no host evidence", HOST, "attach a chain first: helm evidence attach-host-chain")
    signatures = [signature for _, signature in read(lines, "drift")] if lines else [""] * len(drifts)
    unchecked = sorted(reading.chains.keys() - reading.host_keys.keys())
    return {
        "drift": [{"drift": body_of(one), "signature": said} for one, said in zip(drifts, signatures, strict=True)],
        "matches": [match.body() for match in found.matches],
        "native_evidence_hash": reading.native.manifest_hash,
        "scope": reading.manifest.cover.scope,
        "signed": bool(lines) or not drifts,
        "unverified_sources": unchecked,
    }


def tell(reading: Reading, found: Correlation, said: dict[str, Any], *, as_json: bool) -> None:
    """Say what came out."""
    if reading.manifest.cover.scope == SESSION:
        show.note("This pack is about one session: a connection of another one is drift here.")
    if said["unverified_sources"]:
        sources = show.plain(", ".join(said["unverified_sources"]))
        show.note(f"Nobody checked who signed what {sources} says: bring its key, --host-key SOURCE=KEY")
    if as_json:
        show.as_object(said)
        return
    rows = [row(match) for match in said["matches"]]
    show.table(("source", "host receipt", "to", "score", "call", "why"), rows)
    for one in said["drift"]:
        drift = one["drift"]
        click.echo(f"{show.state('fail')}  {drift['reason_code']}  {show.plain(drift['reason'])}")
    click.echo(f"{len(found.matches)} host receipts, {len(said['drift'])} boundary drift")


def row(match: dict[str, Any]) -> tuple[str, ...]:
    """Return one line of the table."""
    called = show.plain(match["tool"]) or "none"
    words = (match["source"], match["host_receipt_id"], match["destination"])
    return (*map(show.plain, words), f"{match['score']:.2f}", called, show.plain("; ".join(match["why"])))


def tell_fields(told: dict[str, Any], *, as_json: bool) -> None:
    """Say what became of it."""
    if as_json:
        show.as_object(told)
    else:
        show.fields([(name.replace("_", " "), show.plain(str(value))) for name, value in told.items()])
