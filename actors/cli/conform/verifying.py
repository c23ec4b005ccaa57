"""helm conform verify: believe a report, or say what is wrong with it. It asks nobody."""

from __future__ import annotations

import json
from pathlib import Path

import click

from actors.cli import show
from actors.conforming.material import vector_set
from actors.installation import Installation
from helm.conformance.report import check_report
from helm.contracts.errors import Invalid
from helm.crypto.ed25519 import PublicKey, SignatureInvalid

MAX_BYTES = 16 * 1024 * 1024
"""Longest report that is read (T4)."""


@click.command()
@click.argument("report", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--public-key", help="The key that you were told signs reports, 64 digits.")
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Trust this installation's own key.")
@show.json_option
def verify(report: Path, public_key: str | None, data_dir: Path | None, as_json: bool) -> None:
    """Verify REPORT: who signed it, about which vectors, and that its level follows from its results."""
    if (public_key is None) == (data_dir is None):
        raise click.UsageError("a report cannot vouch for itself: give --public-key, or --data-dir for your own")
    told = check_report(read_report(report), trusted(public_key, data_dir), vector_set())
    if as_json:
        show.as_object({"report_id": told["report_id"], "verified": True, "level": told["level"], **told["summary"]})
        return
    click.echo(click.style("VERIFIED", fg="green", bold=True))
    show.fields([(name, str(told[name])) for name in ("report_id", "level", "vectors_hash")])
    show.fields([(name, str(count)) for name, count in told["summary"].items()])


def trusted(public_key: str | None, data_dir: Path | None) -> PublicKey:
    """Return the key that the caller trusts. Raises Invalid."""
    if data_dir is not None:
        public_key = Installation.open(data_dir).evidence_key().public_key
    try:
        return PublicKey.from_hex(public_key or "")
    except SignatureInvalid as problem:
        raise Invalid(str(problem), "--public-key", "copy the key whole") from problem


def read_report(file: Path) -> object:
    """Return the JSON of a report. Raises Invalid."""
    try:
        raw = file.read_bytes()
        if len(raw) > MAX_BYTES:
            raise Invalid(f"is longer than {MAX_BYTES} bytes", str(file))
        return json.loads(raw)
    except OSError as problem:
        raise Invalid(f"cannot be read: {problem.strerror}", str(file), "name a report that is there") from problem
    except ValueError as problem:
        raise Invalid("is not JSON", str(file)) from problem
