"""helm checkpoint prove, verify, compare: proofs under checkpoints, and what anyone can check with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from actors.cli import show
from actors.cli.checkpoint.source import CHECKPOINTS, PROOFS, prove_growth, public_key_of, read_file
from actors.cli.checkpoint.source import prove as prove_in
from actors.cli.failure import Failed
from actors.cli.place import data_dir_option, open_place
from actors.cli.server import Server, server_option, server_url
from helm.contracts.errors import Invalid, Malformed
from helm.crypto.canonical import parse
from helm.crypto.ed25519 import PublicKey, SignatureInvalid
from helm.evidence.checkpoint_document import SIGNED, check_document, check_signed_document
from helm.evidence.equivocation import Equivocation, Statement, check_no_equivocation, read_statement, statement_of
from helm.evidence.note import MAX_NOTE_BYTES, read_note

REFUSED = 1

BESIDE = frozenset({"checkpoint_hash", "checkpoint_id", "note"})
"""What is shown beside a signed checkpoint, and follows from it."""

key_option = click.option(
    "--execution-key",
    default="",
    metavar="HEX",
    help="The log's execution key, from elsewhere. Without it, the one that the data directory knows.",
)


@click.command()
@click.argument("wanted")
@click.option("--since", type=int, help="WANTED is a checkpoint's number: prove that it begins with this earlier one.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the proof to this file.")
@data_dir_option
@server_option
def prove(wanted: str, since: int | None, output: Path | None, data_dir: Path, server: str | None) -> None:
    """Prove that the receipt or boundary record WANTED lies under a checkpoint.

    The proof is one JSON document; `helm checkpoint verify` checks it without a kernel, and so can anyone (RFC 9162).
    """
    if since is not None and not wanted.isdecimal():
        raise click.UsageError("with --since, WANTED is the number of a checkpoint")
    url = server_url(data_dir, server)
    if url:
        document = ask(Server(url), wanted, since)
    elif since is not None:
        document = prove_growth(open_place(data_dir), since, int(wanted))
    else:
        document = prove_in(open_place(data_dir), wanted)
    if output is None:
        show.as_object(document)
        return
    output.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    show.note(f"wrote {output}; check it with: helm checkpoint verify {output} --execution-key ...")


def ask(server: Server, wanted: str, since: int | None) -> Any:
    """Return the proof that a running kernel finds. Raises Failed."""
    if since is not None:
        document = server.get(f"{CHECKPOINTS}/{wanted}/consistency", {"since": since})
    else:
        document = server.get(f"{PROOFS}/{wanted}", {})
    if document is None:
        what = f"nothing is known of {wanted}, or no checkpoint covers it yet"
        raise Failed(what, "take one: helm checkpoint now", "NOT_FOUND")
    return document


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@key_option
@data_dir_option
@show.json_option
def verify(file: Path, execution_key: str, data_dir: Path, as_json: bool) -> int:
    """Check a checkpoint, a signed note, or a proof. Exit 1 where it does not hold.

    FILE is what `helm checkpoint show --json`, `show --note` or `prove` wrote.
    """
    raw = read_file(file)
    try:
        told = told_of(raw, execution_key, data_dir, str(file))
    except Invalid as problem:
        if as_json:
            show.as_object({"detail": str(problem), "verified": False})
        else:
            click.echo(f"{show.state('fail')}  {problem}")
        return REFUSED
    if as_json:
        show.as_object(told | {"verified": True})
    else:
        click.echo(f"{show.state('ok')}  {told['shows']}")
    return 0


def told_of(raw: bytes, execution_key: str, data_dir: Path, where: str) -> dict[str, Any]:
    """Return what a file shows once it holds. Raises Invalid and Failed."""
    if not raw.lstrip().startswith(b"{"):
        statement = read_statement(read_note(raw), key_for(raw, execution_key, data_dir, where))
        return {"shows": f"{statement.size} receipts under {statement.root}", "size": statement.size}
    document = document_in(raw, where)
    found = check_document(document, key_for(raw, execution_key, data_dir, where), where)
    said = found.checkpoint
    about = f"{found.about} lies under " if found.about else ""
    return {
        "about": found.about,
        "checkpoint": said.sequence,
        "shows": f"{about}checkpoint {said.sequence} of {said.receipts_size} receipts, log {said.log_id}",
        "version": found.version,
    }


@click.command()
@click.argument("one", type=click.Path(path_type=Path))
@click.argument("other", type=click.Path(path_type=Path))
@key_option
@data_dir_option
@show.json_option
def compare(one: Path, other: Path, execution_key: str, data_dir: Path, as_json: bool) -> int:
    """Tell whether two signed checkpoints or notes contradict each other. Exit 1 where they do.

    Two that contradict each other prove, against whoever holds the log's key, that the log told two stories.
    """
    statements = [statement_in(path, execution_key, data_dir) for path in (one, other)]
    try:
        check_no_equivocation(*statements)
        found = ""
    except Equivocation as problem:
        found = problem.what
    if as_json:
        show.as_object({"contradiction": found, "equivocation": bool(found)})
    else:
        nothing = "no contradiction; a consistency proof says more: helm checkpoint prove NUMBER --since NUMBER"
        click.echo(f"{show.state('fail' if found else 'ok')}  {found or nothing}")
    return REFUSED if found else 0


def statement_in(path: Path, execution_key: str, data_dir: Path) -> Statement:
    """Return what a file states, its signature checked. Raises Invalid and Failed."""
    raw, where = read_file(path), str(path)
    key = key_for(raw, execution_key, data_dir, where)
    if not raw.lstrip().startswith(b"{"):
        return read_statement(read_note(raw), key)
    return statement_of(check_signed_document(document_in(raw, where), key, where))


def document_in(raw: bytes, where: str) -> dict[str, Any]:
    """Return the document in a file, without what is shown beside a signed checkpoint. Raises Failed."""
    try:
        document = parse(raw, max_bytes=16 * MAX_NOTE_BYTES)
    except Malformed as problem:
        raise Failed(f"{where} is not JSON: {problem}", "hand over the file as it was written") from problem
    if type(document) is not dict:
        raise Failed(f"{where} is no document about checkpoints", "hand over the file as it was written")
    if document.get("version") == SIGNED:
        return {name: value for name, value in document.items() if name not in BESIDE}
    return document


def key_for(raw: bytes, execution_key: str, data_dir: Path, where: str) -> PublicKey:
    """Return the key that the caller trusts: the one given, or the one that the data directory knows. Raises Failed."""
    try:
        if execution_key:
            return PublicKey.from_hex(execution_key)
        if not raw.lstrip().startswith(b"{"):
            return PublicKey.from_hex(open_place(data_dir).execution_key().public_key)
        document = document_in(raw, where)
        signed = document.get("to") or document.get("under") or document
        key_id = str((signed.get("checkpoint") or {}).get("key_id", ""))
        return PublicKey.from_hex(public_key_of(open_place(data_dir), key_id))
    except SignatureInvalid as problem:
        raise Failed(str(problem), "--execution-key is 64 lower-case hex digits", "USAGE") from problem
