"""helm init: make a data directory, and show its bearer keys this one time."""

from __future__ import annotations

import re
from pathlib import Path

import click

from actors.cli import show
from actors.cli.keys import PIN, token_of
from actors.founding import ALONE, DRAFT_FILE, Administration, FirstKeys, found_installation
from actors.installation import Installation
from actors.process.clock import SystemClock


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), default=Path("helm-data"), envvar="HELM_DATA_DIR")
@click.option("--admins", metavar="M-of-N", help="Let N administrators keep the log: M of them sign what changes keys.")
@click.option("--admin-key", "others", multiple=True, metavar="HEX", help="Another administrator's public key.")
@click.option("--pkcs11", "module", metavar="MODULE", help="Make the keys in a token, through this PKCS#11 module.")
@click.option("--token", "label", metavar="LABEL", help="Which token. Its PIN is read from " + PIN + ".")
@show.json_option
def init(directory: Path, admins: str | None, others: tuple[str, ...], as_json: bool, **token: str | None) -> None:
    """Make DIRECTORY (./helm-data): keys of mode 0600, genesis, helm.toml, a signed starter policy."""
    administration = administration_of(admins, others)
    keys = found_installation(directory, clock=SystemClock(), administration=administration, token=token_of(**token))
    if others:
        tell_draft(directory, keys, as_json=as_json)
        return
    place = Installation.open(directory)
    if as_json:
        show.as_object(
            {
                "data_dir": str(directory.resolve()),
                "log_id": place.log_id,
                "tenant_key": keys.tenant,
                "admin_key": keys.admin,
                "policy": str(place.policy_path),
            }
        )
        return
    click.echo(f"data directory   {directory.resolve()}")
    click.echo(f"log              {place.log_id}")
    click.echo(f"policy           {place.policy_path}")
    click.echo(f"agent's key      {keys.tenant}")
    click.echo(f"admin's key      {keys.admin}")
    show.note("Both keys are shown this one time; HELM keeps only their hashes. Pin the log for verification.")
    if administration.count > 1:
        show.note(f"Take keys/trust-admin-2.pem to -{administration.count}.pem away: one machine with all is one key.")
    show.note(f"Next: helm serve --data-dir {directory}")


def administration_of(admins: str | None, others: tuple[str, ...]) -> Administration:
    """Return what the options say of who keeps the log. Raises UsageError and Invalid."""
    if admins is None:
        if others:
            raise click.UsageError("--admin-key goes with --admins")
        return ALONE
    found = re.fullmatch(r"([1-9][0-9]?)-of-([1-9][0-9]?)", admins)
    if found is None or int(found[2]) < 2 or int(found[1]) > int(found[2]):
        raise click.UsageError("--admins is M-of-N, such as 2-of-3")
    return Administration(threshold=int(found[1]), count=int(found[2]), others=others)


def tell_draft(directory: Path, keys: FirstKeys, *, as_json: bool) -> None:
    """Say what is to be done before the directory can be used."""
    draft = directory / DRAFT_FILE
    if as_json:
        show.as_object({"draft": str(draft), "tenant_key": keys.tenant, "admin_key": keys.admin})
    else:
        show.fields(
            [("agent's key", keys.tenant), ("admin's key", keys.admin), ("genesis", f"{draft}, not signed by all")]
        )
    show.note(f"Next, each other administrator: helm trust sign {draft} --key ...")
    show.note(f"Then: helm trust apply {draft} --data-dir {directory}")
