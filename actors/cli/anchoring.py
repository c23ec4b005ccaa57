"""helm evidence anchor: one call as a proof that carries itself, with the four answers of the AIGP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from actors.cli import show
from actors.cli.external_receipt import read_bounded
from actors.cli.failure import REFUSED, Failed
from actors.cli.verify import of_pack, read_pack, trust_root
from actors.process import durable
from helm.contracts.errors import Invalid, Malformed
from helm.crypto.canonical import parse
from helm.crypto.ed25519 import PublicKey, SignatureInvalid
from helm.evidence.aigp import MAX_BYTES, anchor_of, check_anchor
from helm.evidence.verify import check_pack

FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def anchor() -> None:
    """Proofs of single calls, each with four answers."""


@anchor.command(short_help="Make the anchor of a call in a pack.")
@click.argument("call")
@of_pack
@click.option("-o", "--output", type=FILE, help="Write it to this file.")
def create(call: str, pack: Path, output: Path | None, **pins: Any) -> None:
    """Write the anchor of CALL, a receipt or a decision in PACK, which is verified first.

    It links the call's intent, the attestations that it stood on and its effect, and answers whether it was stoppable,
    owned, replayable and escalatable, each with the field that proves it.
    """
    if output is not None and output.exists():
        raise Failed(f"{output} is there already", "name another file", "EXISTS")
    body = anchor_of(check_pack(read_pack(pack), trust_root(**pins)), call)
    if output is None:
        show.as_object(body)
        return
    durable.replace(output, json.dumps(body, indent=2, ensure_ascii=False).encode() + b"\n")
    show.note(f"wrote {output}; check it with: helm evidence anchor verify {output} --execution-key ...")


@anchor.command()
@click.argument("file", type=FILE)
@click.option("--execution-key", required=True, metavar="HEX", help="The log's execution key, from elsewhere.")
@show.json_option
def verify(file: Path, execution_key: str, as_json: bool) -> int:
    """Check an anchor by itself: no log, no pack, no network. Exit 1 where it does not hold."""
    try:
        found = check_anchor(read_anchor(file), read_key(execution_key), str(file))
    except Invalid as problem:
        if as_json:
            show.as_object({"detail": str(problem), "verified": False})
        else:
            click.echo(f"{show.state('fail')}  {show.plain(str(problem))}")
        return REFUSED
    answers = found.body["answers"]
    if as_json:
        about = {"decision_id": found.decision.id, "receipt_id": found.receipt.receipt_id}
        show.as_object({"answers": answers, "unsigned": list(found.unsigned), "verified": True, **about})
        return 0
    click.echo(f"{show.state('ok')}  {found.receipt.receipt_id} of {show.plain(found.decision.content.tool)}")
    rows = [
        (name, "yes" if one["answer"] else "no", one["field"], show.plain(str(one["value"])))
        for name, one in answers.items()
    ]
    show.table(("it was", "", "because of", "which says"), rows)
    show.note(f"only the log proves: {', '.join(found.unsigned)}")
    return 0


def read_anchor(file: Path) -> Any:
    """Return what stands in a file. Raises Invalid."""
    try:
        return parse(read_bounded(file, 2 * MAX_BYTES), max_bytes=2 * MAX_BYTES)
    except Malformed as problem:
        raise Invalid(f"is not JSON: {problem}", str(file), "hand over the file as it was written") from problem


def read_key(text: str) -> PublicKey:
    """Return the key that the caller trusts. Raises Failed."""
    try:
        return PublicKey.from_hex(text)
    except SignatureInvalid as problem:
        raise Failed(str(problem), "--execution-key is 64 lower-case hex digits", "USAGE") from problem
